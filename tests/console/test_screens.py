"""The screens as the operator sees them, line by line.

`UPDATE_SNAPSHOTS=1 pytest tests/console/test_screens.py` writes them anew: read the diff.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from apftui.console.screens.parameters import ParameterScreen
from core.api.models import Problem, SourceStatus, WmsView
from core.settings.schema import Orphan
from tests.console import scenes
from tests.console.conftest import console
from tests.console.served import Served

SIZES = [(80, 24), (200, 60)]
Same = Callable[[str, str], None]


def small(**factory: object) -> Served:
    served = Served(scenes.factory(**factory), *scenes.small())  # type: ignore[arg-type]
    for queue in served.queues.values():
        served.details[queue.name] = scenes.detail(queue)
        served.parameters[queue.name] = scenes.parameters(queue.name)
    served.forms = scenes.FORMS
    name = "CERN-EXT_GPU"
    served.parameters[name] = scenes.parameters(name, 200, why="agreed", until=scenes.NOON + 7200)
    return served


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("overview", []),
        ("filter_typing", ["slash", *"cern !p1"]),
        ("filter_kept", ["slash", *"state:bl", "enter"]),
        ("sorted", [*"sss"]),
        ("marked", ["space", "space"]),
        ("queue", ["down", "down", "down", "enter"]),
        ("queue_blind", ["down", "down", "enter"]),
        ("queue_paused", [*"jjjjj", "enter"]),
        ("help", ["question_mark"]),
        ("help_queue", ["enter", "question_mark"]),
        ("alarms", ["A"]),
        ("confirm", ["p"]),
        ("confirm_marked", ["asterisk", "p"]),
        ("parameters", ["e", *"jjj"]),
        ("parameters_marked", ["space", "space", "e", *"jjj", "enter", *"300"]),
        ("parameters_help", ["e", "question_mark"]),
    ],
)
async def test_screen(
    name: str, keys: list[str], size: tuple[int, int], socket: Path, same: Same
) -> None:
    async with console(small(), socket, size) as it:
        for key in keys:
            if isinstance(it.app.screen, ParameterScreen):
                await it.see("sched.max-pending.maximum")
            await it.press("space" if key == " " else "exclamation_mark" if key == "!" else key)
        if keys and keys[-1] == "enter" and name.startswith("queue"):
            await it.see("Recent decisions")
        if name == "parameters_marked":
            await it.see("If applied now")
        same(f"{name}-{size[0]}x{size[1]}", it.text())


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_thousand_queues(size: tuple[int, int], socket: Path, same: Same) -> None:
    served = Served(scenes.factory(), *scenes.thousand())
    async with console(served, socket, size) as it:
        await it.press("G")
        same(f"thousand-{size[0]}x{size[1]}", it.text())


@pytest.mark.parametrize("size", [(40, 10), (60, 14), (80, 24), (200, 60)], ids=str)
async def test_alarms_have_their_lines(size: tuple[int, int], socket: Path, same: Same) -> None:
    served = small(
        alarms=("ledger not writable: no space left on device; nothing is submitted",),
        sources=(
            SourceStatus(
                kind="wms", name="panda", plugin="panda", state="failed", age_s=720.0,
                problem="cannot read counts from panda: HTTP 403",
            ),
        ),
        orphans=(
            Orphan(queue="CERN_OLD", key="paused", value=True, problem="no such queue any more"),
        ),
    )  # fmt: skip
    async with console(served, socket, size) as it:
        same(f"overview_alarms-{size[0]}x{size[1]}", it.text())


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_queue_says_what_of_the_wms_is_not_counted(
    size: tuple[int, int], socket: Path, same: Same
) -> None:
    note = (
        "100 activated not counted: while its status is test, PanDA gives pilots of this queue"
        " only jobs labelled test, prod_test, install"
    )
    queue = scenes.queue(
        "TRIUMF_TEST", 4, 1, 2, reason=note,
        wms=WmsView(
            activated=4, running=3, status="test", age_s=21.0, note=note,
            other={"holding": 1130, "transferring": 12, "weird": 1},
        ),
    )  # fmt: skip
    served = Served(scenes.factory(), queue)
    served.details[queue.name] = scenes.detail(queue)
    async with console(served, socket, size) as it:
        await it.press("enter")
        await it.see("Recent decisions")
        same(f"queue_other-{size[0]}x{size[1]}", it.text())


async def test_no_queues_at_all(socket: Path, same: Same) -> None:
    async with console(Served(scenes.factory()), socket) as it:
        same("no_queues-80x24", it.text())


async def test_read_only(socket: Path, same: Same) -> None:
    async with console(small(), socket, read_only=True) as it:
        await it.press("p")
        same("read_only-80x24", it.text())


async def test_an_unknown_protocol_is_read_only_and_says_the_cure(socket: Path, same: Same) -> None:
    served = small(version="9.1.0")
    served.protocol = 9
    async with console(served, socket) as it:
        assert it.app.read_only
        same("protocol-80x24", it.text())


async def test_a_change_that_came_too_late_shows_what_differs(socket: Path, same: Same) -> None:
    served = small()
    served.refuse = (
        409,
        Problem(
            error="BNL_PROD-gridgk01 was changed since you looked",
            diff=("sched.max-pending.maximum: 100 → 300 (override by rs)",),
        ),
    )
    async with console(served, socket) as it:
        await it.press("p", "right", "enter")
        await it.see("maximum: 100 → 300")
        same("refused-80x24", it.text())
        await it.press("enter")
        assert served.changes == []


async def test_a_stale_screen_is_grey(socket: Path, same: Same) -> None:
    served = small()
    async with console(served, socket) as it:
        before = set(inks(it.app))
        it.app.store.lose("no factory answers on /run/apftui/s")
        await it.pilot.pause()
        same("stale-80x24", it.text())
        assert len(set(inks(it.app))) < len(before)


def inks(app: object) -> list[object]:
    """The colours of the table's cells."""
    table = app.overview.table  # type: ignore[attr-defined]
    return [
        segment.style.color
        for y in range(1, 10)
        for segment in table.render_line(y)
        if segment.style is not None
    ]

"""Text from outside, at its worst, in every place where text is shown."""

import unicodedata
from pathlib import Path

from apftui.console.app import ConsoleApp
from apftui.console.screens.confirm import Confirm
from core.api.models import (
    Action,
    BatchView,
    ChangeRequest,
    Effect,
    Override,
    Parameter,
    PastDecision,
    Preview,
    Problem,
    QueueParameters,
    ValueChange,
    WmsView,
)
from core.model.decision import Decision, TraceStep
from core.settings.schema import EffectiveValue
from tests.console import scenes
from tests.console.conftest import console, screen_text
from tests.console.served import Served

EVIL = (
    "\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[2J\x1b[31m[/x][red]$(id)`id`{{7*7}}'\"\r\n\t\x9b1m"
    "\u202eabc\u2066[link=x]y[/link]"
)
CLICK = "[@click=app.quit]CLICK[/]"


def evil_queue(name: str, **more: object) -> Served:
    text = {
        "state": "error",
        "reason": EVIL,
        "decision": Decision(
            queue=name,
            submit=1,
            bound_by=EVIL,
            steps=(TraceStep(plugin=EVIL, in_=5, out=1, reason=EVIL),),
        ),
        "wms": WmsView(status=EVIL, problem=EVIL),
        "batch": BatchView(problem=EVIL),
        "wms_name": EVIL,
        "batch_name": EVIL,
        "schedd": EVIL,
        "wrapper": EVIL,
        "wrapper_version": EVIL,
        "wrapper_sha": EVIL,
        "revision": EVIL,
    }
    status = scenes.queue(name, 1, 1, 1, **(text | more))  # type: ignore[arg-type]
    served = Served(scenes.factory(name=EVIL, config=EVIL, alarms=(EVIL,), started_by=EVIL), status)
    detail = scenes.detail(status)
    served.details[name] = detail.model_copy(
        update={
            "settings": (EffectiveValue(key=EVIL, value={EVIL: [EVIL]}, layer=EVIL, where=EVIL),),
            "decisions": (
                PastDecision(
                    cycle=1, last_cycle=1, at=0.0, last_at=0.0, wms=status.wms, batch=status.batch,
                    decision=Decision(queue=name, blind=True, blind_because=EVIL),
                ),
            ),
            "intents": tuple(
                intent.model_copy(
                    update={"schedd": EVIL, "cluster": EVIL, "detail": EVIL, "submission": EVIL}
                )
                for intent in detail.intents
            ),
            "actions": (
                Action(
                    id=EVIL, at=0.0, by=EVIL, what=EVIL, why=EVIL, state="failed", detail=EVIL
                ),
            ),
        }
    )  # fmt: skip
    return served


def assert_inert(app: ConsoleApp) -> None:
    """Nothing on the screen is an order to the terminal, nor reorders what stands beside it."""
    for char in screen_text(app):
        if char != "\n":
            assert unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}, repr(char)


def evil_parameters(served: Served, name: str) -> None:
    """A queue whose values, forms and overrides are EVIL, and a preview that is."""
    served.forms = (
        {"type": "string", "enum": [EVIL], "unit": EVIL, "description": EVIL},
        {"type": EVIL, "minimum": EVIL},
    )
    override = Override(
        queue=name, key=EVIL, value=EVIL, by=EVIL, at=0.0, why=EVIL, until=1.0, action=EVIL
    )
    keys = (EVIL, CLICK, "[/]")
    served.parameters[name] = QueueParameters(
        name=name,
        revision=EVIL,
        values=tuple(
            Parameter(
                key=key, value=[EVIL], layer=EVIL, where=EVIL, default={EVIL: EVIL},
                default_layer=EVIL, override=override, form=number % 2,
            )
            for number, key in enumerate(keys)
        ),
    )  # fmt: skip

    async def preview(asked: ChangeRequest) -> Preview:
        blind = Decision(queue=name, blind=True, blind_because=EVIL)
        bound = Decision(queue=EVIL, submit=3, bound_by=EVIL)
        values = (ValueChange(key=EVIL, before=EVIL, after=EVIL, after_layer=EVIL),)
        return Preview(
            queues=(Effect(queue=EVIL, due=False, before=bound, after=blind, values=values),),
            others=(Effect(queue=EVIL, due=True, before=blind, after=bound),),
        )

    served.previewing = preview
    served.actions = (
        Action(id="a", at=0.0, by="op", what=EVIL, why=EVIL, state="applied", queues=(EVIL,)),
    )


async def test_parameters_and_what_is_asked_about_them_are_inert(socket: Path) -> None:
    for size in ((80, 24), (200, 60), (40, 10)):
        served = evil_queue(EVIL)
        evil_parameters(served, EVIL)
        async with console(served, socket, size) as it:
            await it.press("e")
            await it.see("\\x1b]0;owned")
            for key in ("j", "j", "k"):
                await it.press(key)
                assert_inert(it.app)
            await it.press("enter", "x")
            await it.pilot.pause(0.5)
            assert_inert(it.app)
            await it.press("enter")
            await it.pilot.pause(0.5)
            assert_inert(it.app)
            await it.press("ctrl+s")
            await it.pilot.pause(0.2)
            assert isinstance(it.app.screen, Confirm)
            assert_inert(it.app)
            await it.press("escape", "u")
            await it.see("Undo")
            assert_inert(it.app)
            await it.press("escape")
            for y in range(1, size[1]):
                await it.pilot.click(offset=(6, y))
                await it.pilot.click(offset=(min(size[0] - 1, 32), y))
            assert it.app.is_running


async def test_every_screen_is_inert(socket: Path) -> None:
    for size in ((80, 24), (200, 60), (40, 10)):
        served = evil_queue(EVIL)
        async with console(served, socket, size) as it:
            assert_inert(it.app)
            assert "\\x1b]0;owned" in it.text(), "what is hostile is shown, not hidden"
            await it.press("enter")
            await it.see("Decision")
            await it.pilot.pause(0.1)
            assert "[red]" in it.text() or size == (40, 10)
            page = it.app.screen
            for _ in range(12):
                assert_inert(it.app)
                await it.press("pagedown")
            assert it.app.screen is page
            await it.press("escape", "A")
            assert_inert(it.app)
            await it.press("escape", "p")
            assert_inert(it.app)
            served.refuse = (409, Problem(error=EVIL, diff=(EVIL,)))
            await it.press("right", "enter")
            await it.see("Nothing was changed")
            assert_inert(it.app)


async def test_a_click_on_markup_does_nothing(socket: Path) -> None:
    async with console(evil_queue(CLICK, reason=CLICK), socket) as it:
        assert CLICK[:17] in it.text(), "markup is text"
        for y in range(1, 23):
            await it.pilot.click(offset=(6, y))
            await it.pilot.click(offset=(22, y))
        assert it.app.is_running
        await it.press("enter")
        await it.see("Decision")
        for y in range(1, 23):
            await it.pilot.click(offset=(12, y))
            await it.pilot.click(offset=(50, y))
        assert it.app.is_running


async def test_what_is_pasted_into_an_input_is_no_order(socket: Path) -> None:
    async with console(evil_queue("A"), socket) as it:
        await it.press("p", "up")
        entry = it.app.focused
        entry.insert_text_at_cursor("\x1b]52;c;eA==\x07")  # type: ignore[union-attr]
        await it.pilot.pause()
        assert entry.value == ""  # type: ignore[union-attr]


async def test_wide_and_ambiguous_names_keep_the_columns(socket: Path) -> None:
    names = ("漢字漢字漢字漢字漢字漢字漢字", "éèê_combining", "🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀", "plain")
    served = Served(scenes.factory(), *(scenes.queue(name, 7, 7, 7) for name in names))
    async with console(served, socket) as it:
        table = it.app.overview.table
        assert {table.render_line(y).cell_length for y in range(20)} == {80}

"""Every key, pressed."""

from pathlib import Path

import pytest

from apftui.console.commands import COMMANDS
from apftui.console.screens.confirm import Confirm, Notice
from apftui.console.screens.overview import Overview
from apftui.console.screens.queue import QueueScreen
from apftui.console.screens.text import TextScreen
from apftui.console.widgets.page import Page
from core.api.models import Change, ChangeRequest, QueueParameters
from tests.console import scenes
from tests.console.conftest import console
from tests.console.served import Served

NAMES = sorted((queue.name for queue in scenes.small()), key=str.lower)
FULL = [queue.name for queue in sorted(scenes.thousand(), key=lambda q: q.name.lower())]
PAGE = 24 - 5  # header, totals, titles, why, keys

MOVES = [
    ("j", 5, 6),
    ("down", 5, 6),
    ("k", 5, 4),
    ("up", 5, 4),
    ("up", 0, 0),
    ("g", 500, 0),
    ("home", 500, 0),
    ("G", 5, 999),
    ("end", 5, 999),
    ("pagedown", 5, 5 + PAGE),
    ("ctrl+f", 5, 5 + PAGE),
    ("pageup", 500, 500 - PAGE),
    ("ctrl+b", 500, 500 - PAGE),
    ("ctrl+d", 5, 5 + PAGE // 2),
    ("ctrl+u", 500, 500 - PAGE // 2),
    ("j", 999, 999),
]
# Every key of the console is in this file; a new one belongs into a test here.
PRESSED = {key for key, _, _ in MOVES} | {
    "enter", "escape", "backspace", "q", "slash", "s", "S", "less_than_sign", "greater_than_sign",
    "space", "asterisk", "p", "D", "P", "ctrl+r", "A", "colon", "question_mark",
    "left_curly_bracket", "right_curly_bracket", "e", "3", "1", "u", "d", "ctrl+s",
    "w", "4", "f2", "f3", "f4", "f6", "f7", "f8", "f9", "ctrl+e",  # test_workshop.py
}  # fmt: skip
CHANGING = [c.keys for c in COMMANDS if c.dangerous and "overview" in c.views]


def small() -> Served:
    served = Served(scenes.factory(), *scenes.small())
    served.forms = scenes.FORMS
    for queue in served.queues.values():
        served.details[queue.name] = scenes.detail(queue)
        served.parameters[queue.name] = scenes.parameters(queue.name)
    return served


def test_no_key_is_forgotten_here() -> None:
    assert {key for command in COMMANDS for key in command.keys.split(",")} == PRESSED


def test_every_key_has_an_id_and_a_help_of_its_own() -> None:
    assert len({command.id for command in COMMANDS}) == len(COMMANDS)
    assert all(command.help for command in COMMANDS)


def test_what_changes_something_says_what_will_happen() -> None:
    assert all(command.effect for command in COMMANDS if command.dangerous)


async def test_keys_that_move_the_cursor(socket: Path) -> None:
    async with console(Served(scenes.factory(), *scenes.thousand()), socket) as it:
        for key, start, end in MOVES:
            it.app.overview.table.go(start)
            await it.press(key)
            assert it.cursor == FULL[end], key
            assert f"▌ {FULL[end][:17]}" in it.text(), f"{key}: the cursor is off the screen"


@pytest.mark.parametrize("back", ["escape", "backspace", "q"])
async def test_enter_opens_the_queue_and_three_keys_go_back(back: str, socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("j", "j", "j", "enter")
        assert isinstance(it.app.screen, QueueScreen)
        await it.see("at most 100 pending, 93 are: room for 7")
        assert "max-pending      50 →     7 ◀" in it.text()
        await it.press(back)
        assert isinstance(it.app.screen, Overview)
        assert it.cursor == "CERN-PROD_MCORE"


async def test_braces_turn_to_the_neighbours_in_the_order_of_the_overview(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("S", "enter")
        await it.see(NAMES[0])
        await it.press("left_curly_bracket")
        await it.see(f" {NAMES[1]}")
        assert "9 of 10" in it.text()
        await it.press("right_curly_bracket", "right_curly_bracket")
        assert "10 of 10" in it.text()
        await it.press("escape")
        assert it.cursor == NAMES[0]


async def test_a_long_page_scrolls(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("enter")
        await it.see("Recent decisions")
        page = it.app.screen.query_one(Page)
        most = page.max_scroll_y
        assert most > 3
        for key, y in (
            ("j", 1), ("down", 2), ("k", 1), ("up", 0), ("G", most), ("g", 0), ("end", most),
            ("home", 0), ("ctrl+d", min(most, page.size.height // 2)), ("ctrl+u", 0),
            ("pagedown", min(most, page.size.height)), ("pageup", 0),
            ("ctrl+f", min(most, page.size.height)), ("ctrl+b", 0),
        ):  # fmt: skip
            await it.press(key)
            assert round(page.scroll_y) == y, key


async def test_filter_as_you_type(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("j", "slash")
        await it.type("cern")
        assert it.shown == [name for name in NAMES if "CERN" in name]
        await it.press("enter")
        assert it.app.overview.table.filter == "cern"
        assert "/cern" in it.text()
        assert "5 of 10" in it.text()
        await it.press("j")  # a key again, not a letter
        assert it.cursor == "CERN-P1_MCORE"
        await it.press("escape")
        assert it.shown == NAMES
        assert it.cursor == "CERN-P1_MCORE"


async def test_escape_while_typing_brings_back_what_was(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("G", "slash")
        await it.type("cern")
        assert it.cursor != NAMES[-1]
        await it.press("escape")
        assert it.shown == NAMES
        assert it.cursor == NAMES[-1]
        assert it.app.focused is it.app.overview.table


async def test_sort_keys_go_through_the_columns(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("s")
        assert it.shown[0] == "TRIUMF_TEST", "the worst state comes first"
        await it.press("greater_than_sign")
        assert it.shown[0] == "CERN-PROD_MCORE", "most activated first"
        assert it.shown[-1] == "TRIUMF_NEW", "unknown comes last"
        await it.press("S")
        assert it.shown[0] == "CERN-EXT_GPU"
        assert it.shown[-1] == "TRIUMF_NEW", "unknown comes last in either direction"
        await it.press("less_than_sign", "less_than_sign")
        assert it.shown == NAMES


async def test_click_on_a_title_sorts_and_on_a_row_moves(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.pilot.click("QueueTable", offset=(46, 0))  # RUN
        assert it.shown[0] == "CERN-PROD_SCORE"
        await it.pilot.click("QueueTable", offset=(46, 0))
        assert it.shown[0] != "CERN-PROD_SCORE"
        await it.pilot.click("QueueTable", offset=(5, 3))
        await it.pilot.pause()
        assert it.cursor == it.shown[2]
        await it.pilot.click("QueueTable", offset=(5, 3), times=2)
        await it.pilot.pause()
        assert isinstance(it.app.screen, QueueScreen)


async def test_marks(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("space", "space")
        assert it.app.overview.table.marked == set(NAMES[:2])
        assert "◆ 2 marked" in it.text()
        assert it.cursor == NAMES[2]
        await it.press("k", "space")
        assert it.app.overview.table.marked == {NAMES[0]}
        await it.press("slash", *"cern", "enter", "asterisk")
        assert it.app.overview.table.marked == {n for n in NAMES if "CERN" in n} | {NAMES[0]}
        await it.press("escape", "escape")
        assert it.app.overview.table.marked == set()


async def test_pause_asks_first_with_the_focus_on_cancel(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("p")
        assert isinstance(it.app.screen, Confirm)
        assert it.app.focused is not None
        assert it.app.focused.id == "cancel"
        await it.press("enter")
        assert isinstance(it.app.screen, Overview)
        await it.press("p", "escape")
        assert isinstance(it.app.screen, Overview)
        assert it.served.changes == []


async def test_pause_sends_the_reason_and_the_revision_that_was_seen(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("j", "p", "up")
        await it.type("SE down")
        await it.press("enter", "enter")
        await it.see("paused CERN-EXT_GPU")
        assert it.served.changes == [
            ChangeRequest(
                changes=(Change(queue="CERN-EXT_GPU", key="paused", value=True, revision="r1"),),
                why="SE down",
            )
        ]


async def test_many_are_paused_only_after_their_number_was_typed(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("space", "space", "space", "p")
        await it.press("right", "enter")  # Pause is not to be had yet
        assert isinstance(it.app.screen, Confirm)
        assert it.served.changes == []
        await it.press("escape", "p", "up")
        await it.type("4")
        await it.press("enter")
        assert isinstance(it.app.screen, Confirm), "4 is not 3"
        await it.press("backspace", "3", "enter", "enter")
        await it.see("paused 3 queues")
        (request,) = it.served.changes
        assert [change.queue for change in request.changes] == NAMES[:3]
        assert it.app.overview.table.marked == set()


def paused(served: Served, name: str, default: bool) -> None:
    """An operator has paused it; `default` is what the settings say."""
    told = served.parameters[name]
    (first, *rest) = told.values
    changed = first.model_copy(update={"value": True, "layer": "override", "default": default})
    served.parameters[name] = told.model_copy(update={"values": (changed, *rest)})


@pytest.mark.parametrize("default", [False, True])
async def test_resume_takes_the_override_away_unless_the_settings_pause_too(
    default: bool, socket: Path
) -> None:
    served = small()
    paused(served, "CERN-T0_MCORE", default)
    async with console(served, socket) as it:
        it.app.overview.table.go_to("CERN-T0_MCORE")
        await it.press("P", "right", "enter")
        await it.see("resumed CERN-T0_MCORE")
        (request,) = served.changes
        assert [(c.value, c.revision) for c in request.changes] == [
            (False if default else None, "r1")
        ]


async def test_resume_of_what_is_not_paused_changes_nothing(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("P", "right", "enter")
        await it.see("nothing to resume")
        assert it.served.changes == []


async def test_drain_asks_first_and_says_what_it_does(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("j", "D")
        assert isinstance(it.app.screen, Confirm)
        assert it.app.focused is not None
        assert it.app.focused.id == "cancel"
        assert "Those that wait or run go on" in it.text()
        await it.press("escape", "D", "up")
        await it.type("closes")
        await it.press("enter", "enter")
        await it.see("draining CERN-EXT_GPU")
        (request,) = it.served.changes
        assert request.why == "closes"
        assert request.changes == (
            Change(queue="CERN-EXT_GPU", key="drain", value=True, revision="r1"),
        )


async def test_resume_ends_what_stops_each_of_the_marked_and_nothing_else(socket: Path) -> None:
    served = small()
    names = sorted(served.queues)[:3]
    told = [served.parameters[name] for name in names]
    stops = (
        {"paused": ("override", False), "drain": ("queue", True)},
        {"paused": ("built-in", False), "drain": ("override", False)},
    )

    def stopped(queue: QueueParameters, by: dict[str, tuple[str, bool]]) -> QueueParameters:
        paused = queue.values[0]
        values = (
            paused.model_copy(
                update={"key": key, "value": layer != "built-in", "layer": layer, "default": below}
            )
            for key, (layer, below) in by.items()
        )
        return queue.model_copy(update={"values": (*values, *queue.values[1:])})

    for name, queue, by in zip(names, told, stops, strict=False):
        served.parameters[name] = stopped(queue, by)

    def applied(request: ChangeRequest) -> None:
        served.parameters |= dict(zip(names, told, strict=True))

    served.changing = applied
    async with console(served, socket) as it:
        it.app.overview.table.mark(set(names))
        await it.press("P", "up", "3", "enter", "enter")
        await it.see("resumed 3 queues")
        (request,) = served.changes
        assert [(c.queue, c.key, c.value) for c in request.changes] == [
            (names[0], "paused", None),
            (names[0], "drain", False),
            (names[1], "drain", None),
        ]
        await it.press("P", "right", "enter")
        await it.see("nothing to resume: neither paused nor draining")
        assert len(served.changes) == 1


async def test_pause_from_the_page_of_the_queue(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("G", "enter", "p", "right", "enter")
        await it.see("paused TRIUMF_TEST")
        assert it.served.changes[0].changes[0].queue == "TRIUMF_TEST"
        assert isinstance(it.app.screen, QueueScreen)


async def test_reload_asks_first(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("ctrl+r", "enter")
        assert it.served.reloads == 0
        await it.press("ctrl+r", "right", "enter")
        await it.see("settings read again: 1 queue added")
        assert it.served.reloads == 1


async def test_help_names_every_key_that_works(socket: Path) -> None:
    async with console(small(), socket, (80, 60)) as it:
        await it.press("question_mark")
        assert isinstance(it.app.screen, TextScreen)
        for command in COMMANDS:
            assert (command.help in it.text()) is ("overview" in command.views), command.name
        await it.press("q")
        assert isinstance(it.app.screen, Overview)


async def test_alarms_page(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("A")
        assert "Sources" in it.text()
        await it.press("escape")
        assert isinstance(it.app.screen, Overview)


async def test_palette_finds_and_runs_a_command(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("colon")
        await it.type("turn")
        await it.see("Turn the sort order round")
        await it.press("enter")
        await it.until(lambda: it.shown == NAMES[::-1])


async def test_a_colon_in_the_filter_is_a_colon(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("slash")
        await it.type("state")
        await it.press("colon", *"err")
        assert it.shown == ["TRIUMF_TEST"]


async def test_q_leaves_the_console(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("q")
        assert it.app.return_code == 0
        assert not it.app.is_running


async def test_ctrl_c_leaves_only_the_second_time(socket: Path) -> None:
    async with console(small(), socket) as it:
        await it.press("ctrl+c")
        assert "ctrl+c once more" in it.text()
        await it.press("ctrl+c")
        assert it.app.return_code == 0


@pytest.mark.parametrize("key", CHANGING)
async def test_read_only_mode_greys_what_changes_something(key: str, socket: Path) -> None:
    async with console(small(), socket, (80, 60), read_only=True) as it:
        await it.press(key)
        assert isinstance(it.app.screen, Overview)
        assert "read-only: started with --read-only" in it.text()
        await it.press("question_mark")
        assert it.text().count("(not in read-only mode)") == len(CHANGING)


async def test_the_key_bar_drops_whole_items_and_keeps_two(socket: Path) -> None:
    async with console(small(), socket, (30, 10)) as it:
        bar = it.text().splitlines()[-1]
        assert bar.split("  ")[-2:] == [": commands", "? help"]
        assert "filter" not in bar


async def test_a_greyed_key_never_opens_a_notice(socket: Path) -> None:
    async with console(small(), socket) as it:
        it.app.store.lose("gone")
        await it.press("p")
        assert not isinstance(it.app.screen, Confirm | Notice)

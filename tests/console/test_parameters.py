"""Parameters: tried out with the factory's own preview, reviewed, applied, taken back."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from apftui.console import parameters
from apftui.console.parameters import DEFAULT, Sheet
from apftui.console.screens.confirm import Confirm, Notice
from apftui.console.screens.overview import Overview
from apftui.console.screens.parameters import ParameterScreen
from core.api.models import (
    Action,
    Change,
    ChangeRequest,
    Effect,
    Parameters,
    Preview,
    Problem,
    ValueChange,
)
from core.model.decision import Decision
from tests.console import scenes
from tests.console.conftest import Console, console
from tests.console.served import Served

KEY = "sched.max-pending.maximum"
ONE, TWO = "CERN-EXT_GPU", "CERN-PROD_MCORE"


def served(*names: str) -> Served:
    made = Served(scenes.factory(), *(scenes.queue(name, 1220, 93) for name in names or (ONE, TWO)))
    made.forms = scenes.FORMS
    for name in made.queues:
        made.parameters[name] = scenes.parameters(name)

    async def preview(asked: ChangeRequest) -> Preview:
        """Each queue submits what the last value asks for."""
        return Preview(
            queues=tuple(
                Effect(
                    queue=change.queue, due=True,
                    before=Decision(queue=change.queue, submit=20),
                    after=Decision(
                        queue=change.queue, submit=number(change.value), bound_by="max-pending"
                    ),
                    values=(
                        ValueChange(
                            key=change.key, before=100, after=change.value,
                            before_layer="queue", after_layer="override",
                        ),
                    ),
                )
                for change in asked.changes
            ),
            before=20 * len(asked.changes),
            after=sum(number(change.value) for change in asked.changes),
        )  # fmt: skip

    made.previewing = preview
    return made


def number(value: Any) -> int:
    return value if isinstance(value, int) else 7


async def opened(it: Console, *before: str) -> ParameterScreen:
    """Open the parameters, with the cursor on KEY."""
    await it.press(*before, "e")
    screen = it.app.screen
    assert isinstance(screen, ParameterScreen)
    await it.see(KEY)
    while screen.table.cursor != KEY:
        await it.press("j")
    return screen


def front(it: Console) -> object:
    return it.app.screen


async def typed(it: Console, text: str) -> None:
    await it.press("enter", "end", *["backspace"] * 12)
    await it.type(text)


async def test_a_value_is_tried_out_as_it_is_typed(socket: Path) -> None:
    async with console(served(), socket) as it:
        screen = await opened(it)
        assert "0..5000 pilots" in it.text()
        assert "Most pilots pending or held at a time." in it.text()
        await typed(it, "300")
        await it.see("submit 20 → 300, bound by max-pending")
        await it.press("escape")
        assert screen.new == {}
        await it.until(lambda: "→ 300" not in it.text())
        await typed(it, "400")
        await it.press("enter")
        assert screen.new == {KEY: 400}
        await it.see("submit 20 → 400")
        assert "1 new" in it.text()
        assert it.served.changes == [], "nothing is changed before it was reviewed"
        assert it.app.focused is screen.table


async def test_the_answer_to_an_older_question_never_overwrites_a_newer(socket: Path) -> None:
    made = served()
    answer, slow = made.previewing, asyncio.Event()

    async def preview(asked: ChangeRequest) -> Preview:
        if asked.changes[0].value == 3:
            await slow.wait()
        return await answer(asked)

    made.previewing = preview
    async with console(made, socket) as it:
        await opened(it)
        await typed(it, "3")
        await it.until(lambda: made.previews and made.previews[-1].changes[0].value == 3)
        await it.type("1")
        await it.see("submit 20 → 31")
        slow.set()
        await it.pilot.pause(0.5)
        assert "submit 20 → 31" in it.text()
        assert "→ 3," not in it.text()


async def test_what_does_not_fit_is_said_and_can_be_mended(socket: Path) -> None:
    async with console(served(), socket) as it:
        await opened(it)
        it.served.refuse = (400, Problem(error=f"queue {ONE}: {KEY}: should be 0 or more"))
        await typed(it, "x")
        await it.see("✗")
        assert "should be 0 or more" in it.text()
        it.served.refuse = None
        await it.press("backspace", "1")
        await it.see("submit 20 → 1")
        assert "✗" not in it.text()


async def test_review_sends_what_was_seen_with_reason_and_expiry(socket: Path) -> None:
    async with console(served(), socket) as it:
        screen = await opened(it)
        await typed(it, "300")
        await it.press("enter", "ctrl+s")
        assert isinstance(front(it), Confirm)
        assert it.app.focused is not None
        assert it.app.focused.id == "cancel"
        await it.see("Next pass: submit 20 → 300")
        assert f"{KEY}  100 → 300" in it.text()
        await it.press("up", *"SE", "space", *"back", "up")
        await it.type("2 h")
        await it.press("enter", "enter", "enter")
        await it.see("1 parameter of CERN-EXT_GPU changed (action 01234567)")
        assert it.served.changes == [
            ChangeRequest(
                changes=(Change(queue=ONE, key=KEY, value=300, revision="r1"),),
                why="SE back",
                until=scenes.NOON + 7200,
            )
        ]
        assert screen.new == {}


async def test_an_expiry_that_is_none_cannot_be_sent(socket: Path) -> None:
    async with console(served(), socket) as it:
        await opened(it)
        await typed(it, "300")
        await it.press("enter", "ctrl+s", "up", "up")
        await it.type("soon")
        await it.press("enter", "enter", "enter")
        assert isinstance(front(it), Confirm)
        assert it.served.changes == []


async def test_what_is_being_typed_is_reviewed_too(socket: Path) -> None:
    async with console(served(), socket) as it:
        screen = await opened(it)
        await typed(it, "300")
        await it.press("ctrl+s")
        assert isinstance(front(it), Confirm)
        await it.see(f"{KEY}  100 → 300")
        await it.press("right", "enter")
        await it.see("1 parameter of CERN-EXT_GPU changed")
        assert it.app.focused is screen.table


async def test_a_value_is_for_the_parameter_that_it_was_asked_for(socket: Path) -> None:
    async with console(served(), socket) as it:
        screen = await opened(it)
        await typed(it, "300")
        await it.press("up")
        await it.pilot.click(screen.table, offset=(5, 1))
        await it.pilot.pause()
        assert screen.table.cursor != KEY
        screen.set_focus(screen.prompt.query_one("Entry"))
        await it.press("1", "enter")
        assert screen.new == {KEY: 1}  # all of it was marked


async def test_cancel_keeps_what_is_new(socket: Path) -> None:
    async with console(served(), socket) as it:
        screen = await opened(it)
        await typed(it, "300")
        await it.press("enter", "ctrl+s", "enter")
        assert front(it) is screen
        assert screen.new == {KEY: 300}
        assert it.served.changes == []


async def test_several_queues_are_one_table_and_their_number_is_typed(socket: Path) -> None:
    made = served()
    made.parameters[TWO] = scenes.parameters(TWO, 200, why="agreed")
    async with console(made, socket) as it:
        screen = await opened(it, "space", "space")
        assert "CERN-EXT_GPU and 1 more" in it.text()
        assert "mixed" in it.text()
        assert "CERN-PROD_MCORE: 200 by rs" in it.text()
        await typed(it, "200")
        await it.press("enter")
        await it.see("submit 20 → 200")
        await it.press("ctrl+s")
        assert "to CERN-EXT_GPU?" in it.text(), "the other has it already"
        await it.press("escape")
        assert screen.new == {KEY: 200}
        await typed(it, "300")
        await it.press("enter", "ctrl+s", "up")
        await it.see("type 2 to confirm")
        await it.type("2")
        await it.press("enter", "enter")
        await it.see("1 parameter of 2 queues changed")
        assert [(c.queue, c.value) for c in made.changes[0].changes] == [(ONE, 300), (TWO, 300)]


async def test_d_takes_an_override_away(socket: Path) -> None:
    made = served()
    made.parameters[ONE] = scenes.parameters(ONE, 200, why="agreed", until=scenes.NOON + 60)
    async with console(made, socket) as it:
        screen = await opened(it)
        assert "200 by rs, 11-22 11:00:00Z, until 11-22 12:01:00Z: agreed" in it.text()
        await it.press("d")
        assert screen.new == {KEY: DEFAULT}
        await it.press("ctrl+s", "right", "enter")
        await it.see("changed (action")
        assert made.changes[0].changes[0].value is None
        await it.press("k", "d")
        await it.see("no operator has set it")


async def test_stale_shows_the_diff_and_loses_nothing(socket: Path) -> None:
    async with console(served(), socket) as it:
        screen = await opened(it)
        await typed(it, "300")
        await it.press("enter")
        await it.see("submit 20 → 300")
        await it.press("ctrl+s")
        it.served.refuse = (
            409,
            Problem(
                error=f"queue {ONE} was changed since you looked at it",
                diff=(f"{KEY}: 100 (queue) -> 50 (override)",),
            ),
        )
        await it.press("right", "enter")
        await it.see("Nothing was changed")
        assert isinstance(front(it), Notice)
        assert f"{KEY}: 100 (queue) -> 50" in it.text()
        it.served.refuse = None
        await it.press("enter")
        assert front(it) is screen
        assert screen.new == {KEY: 300}


async def test_what_somebody_else_changes_meanwhile_is_seen_at_once(socket: Path) -> None:
    made = served()
    async with console(made, socket) as it:
        screen = await opened(it)
        await typed(it, "300")
        await it.press("enter")
        changed = scenes.parameters(ONE, 50, why="night").model_copy(update={"revision": "r2"})
        made.parameters[ONE] = changed
        made.put(made.queues[ONE].model_copy(update={"revision": "r2"}))
        await it.see("changed meanwhile: 100 → 50 by rs")
        assert f"▌*{KEY}" in it.text()
        assert screen.new == {KEY: 300}, "never overwritten"
        await it.press("ctrl+s", "right", "enter")
        await it.see("changed (action")
        assert made.changes[0].changes[0].revision == "r2", "the one that was on the screen"


async def test_one_s_own_change_is_not_told_as_somebody_else_s(socket: Path) -> None:
    made = served()
    slow, answer = asyncio.Event(), made.settable
    revised = {"revision": "r2"}

    async def settable(request: web.Request) -> web.Response:
        if made.changes:
            await slow.wait()
        return await answer(request)

    def changing(request: ChangeRequest) -> None:
        made.parameters[ONE] = scenes.parameters(ONE, 300).model_copy(update=revised)

    made.settable = settable  # type: ignore[method-assign]
    made.changing = changing
    async with console(made, socket) as it:
        screen = await opened(it)
        await typed(it, "300")
        await it.press("enter", "ctrl+s", "right", "enter")
        await it.see("changed (action")
        # The news of it come while the table is being read anew.
        made.put(made.queues[ONE].model_copy(update=revised))
        await it.until(lambda: screen._revision(ONE) == "r2")
        slow.set()
        await it.until(lambda: screen._seen == {ONE: "r2"})
        assert "meanwhile" not in it.text()
        assert f"▌ {KEY}" in it.text()


async def test_leaving_with_something_new_asks(socket: Path) -> None:
    async with console(served(), socket) as it:
        await opened(it)
        await typed(it, "300")
        await it.press("enter", "escape")
        await it.see("Leave without applying 1 new value?")
        await it.press("enter")
        assert isinstance(front(it), ParameterScreen)
        await it.press("q", "right", "enter")
        assert isinstance(front(it), Overview)
        await it.press("3")
        assert isinstance(front(it), ParameterScreen)
        await it.see(KEY)
        await it.press("escape")
        assert isinstance(front(it), Overview)


async def test_from_the_page_of_the_queue_and_back_to_the_overview(socket: Path) -> None:
    async with console(served(), socket) as it:
        await it.press("enter", "e")
        assert isinstance(front(it), ParameterScreen)
        await it.press("escape", "1")
        assert isinstance(front(it), Overview)


async def test_nothing_new_is_nothing_to_apply(socket: Path) -> None:
    async with console(served(), socket) as it:
        await opened(it)
        await it.press("ctrl+s")
        await it.see("nothing new to apply")
        await typed(it, "100")  # what it is anyhow
        await it.press("enter", "ctrl+s")
        assert isinstance(front(it), ParameterScreen)


async def test_read_only_shows_and_tries_out_but_does_not_apply(socket: Path) -> None:
    async with console(served(), socket, read_only=True) as it:
        screen = await opened(it)
        await typed(it, "300")
        await it.press("enter")
        await it.see("submit 20 → 300")
        await it.press("ctrl+s")
        assert front(it) is screen
        assert "read-only: started with --read-only" in it.text()
        assert it.served.changes == []


async def test_a_queue_that_goes_is_said(socket: Path) -> None:
    made = served()
    async with console(made, socket) as it:
        await opened(it)
        del made.parameters[ONE]
        made.drop(ONE)
        await it.see(f"there is no queue {ONE}")


def action(id: str, **more: object) -> Action:
    told = {"id": id, "at": scenes.NOON - 60, "by": "op", "what": f"{ONE}: {KEY} = 50", "why": "x",
            "state": "applied", "queues": (ONE,)}  # fmt: skip
    return Action.model_validate(told | more)


async def test_u_undoes_the_last_change_of_ones_own(socket: Path) -> None:
    made = served()
    made.actions = (
        action("a7", by="somebody else"),
        action("a6", queues=()),
        action("a5", undoes="a4"),
        action("a4"),
        action("a3", state="failed"),
        action("a2"),
        action("a1"),
    )
    async with console(made, socket) as it:
        await it.press("u")
        await it.see("Undo your last change?")
        assert f"{ONE}: {KEY} =" in it.text()
        await it.see("Next pass:")
        await it.press("enter")
        assert made.undone == []
        await it.press("u")
        await it.see("Undo your last change?")
        await it.press("right", "enter")
        await it.see("undone: ")
        assert made.undone == ["a2"]


async def test_an_undo_that_came_too_late_says_who_was_quicker(socket: Path) -> None:
    made = served()
    made.actions = (action("a1"),)
    made.refuse = (409, Problem(error=f"{KEY} of queue {ONE} has been changed since by rs"))
    async with console(made, socket) as it:
        await it.press("u")
        await it.see("has been changed since by rs")
        assert isinstance(front(it), Notice)
        await it.press("enter")
        assert isinstance(front(it), Overview)
        made.refuse, made.actions = None, ()
        await it.press("u")
        await it.see("you have changed nothing")


async def test_a_preview_that_takes_long_holds_up_no_key(socket: Path) -> None:
    made = served()

    async def preview(asked: ChangeRequest) -> Preview:
        await asyncio.sleep(60)
        raise AssertionError

    made.previewing = preview
    async with console(made, socket) as it:
        await opened(it)
        await typed(it, "300")
        await it.press("enter", "ctrl+s")
        assert isinstance(front(it), Confirm)
        await it.press("right", "enter")
        await it.see("changed (action")


# Without a screen


def sheet(*told: Any) -> Sheet:
    return Sheet([Parameters(queues=told, forms=scenes.FORMS, free={})])


def test_only_what_differs_is_changed() -> None:
    both = sheet(scenes.parameters("A"), scenes.parameters("B", 200, why="x"))
    assert [(c.queue, c.value) for c in both.changes({KEY: 200})] == [("A", 200)]
    assert [(c.queue, c.value) for c in both.changes({KEY: DEFAULT})] == [("B", None)]
    assert [(c.queue, c.value) for c in both.changes({KEY: True})] == [("A", True), ("B", True)]
    assert both.changes({}) == ()
    assert both.changes({"no.such.key": 1}) == ()


def test_rows_are_the_union_and_mixed_where_they_differ() -> None:
    less = scenes.parameters("B", 200)
    less = less.model_copy(update={"values": less.values[3:]})
    both = sheet(scenes.parameters("A"), less)
    assert both.by_key[KEY].value == parameters.MIXED
    assert both.by_key["paused"].value is False
    assert [c.queue for c in both.changes({"paused": True})] == ["A"]


@pytest.mark.parametrize("width", range(20, 220))
def test_columns_fit(width: int) -> None:
    places = parameters.layout(width, 40)
    assert places[0].column is parameters.KEY
    for left, right in pairwise(places):
        assert left.x + left.width < right.x
    if len(places) > 1:
        assert places[-1].x + places[-1].width <= width


def test_eighty_columns_have_value_new_default_layer_and_range() -> None:
    titles = [place.column.title for place in parameters.layout(80, 40)]
    assert titles == ["PARAMETER", "VALUE", "NEW", "DEFAULT", "LAYER", "RANGE"]

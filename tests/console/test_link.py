"""The factory goes, hangs, comes back, is another: the console says so and never lies."""

from functools import partial
from pathlib import Path

from apftui.console import link
from apftui.console.screens.confirm import Confirm
from apftui.console.screens.overview import Overview
from apftui.console.store import Link
from tests.console import scenes
from tests.console.conftest import Console, console, opened
from tests.console.served import Served, serving


def small(boot: str = "boot-1") -> Served:
    return Served(scenes.factory(boot=boot), *scenes.small())


async def test_a_lost_factory_is_said_and_found_again(socket: Path) -> None:
    served = small()
    async with opened(served, socket, frozen=False) as it:
        await it.see("◌ connecting")
        await it.see(f"no factory answers on {socket}"[:60])
        async with serving(served, socket):
            await it.see("● live")
            await it.see("RW")
            await it.press("slash", *"cern", "enter", "j", "j")
            assert it.cursor == "CERN-PROD_MCORE"
        await it.see("○ STALE")
        assert "since 12:0" in it.text() or "since 11:59" in it.text()
        assert "RO" in it.text().splitlines()[0]
        assert "CERN-PROD_MCORE" in it.text(), "old numbers stay to be read"
        assert it.app.screen.has_class("-stale")
        await it.press("p")
        assert isinstance(it.app.screen, Overview)
        assert "read-only: " in it.text()
        async with serving(served, socket):
            await it.see("● live", seconds=link.LAST_RETRY_S + 2)
            assert it.cursor == "CERN-PROD_MCORE"
            assert it.app.overview.table.filter == "cern"
            assert not it.app.screen.has_class("-stale")
            await it.press("p")
            assert isinstance(it.app.screen, Confirm)


async def test_another_boot_fills_the_table_anew(socket: Path) -> None:
    first = small()
    second = Served(
        scenes.factory(boot="boot-2"),
        scenes.queue("CERN-PROD_MCORE", 77, 0, 0),
        scenes.queue("NEW_ONE", 1, 0, 0),
    )
    async with opened(first, socket, frozen=False) as it:
        async with serving(first, socket):
            await it.until(lambda: len(it.shown) == 10)
            await it.press("j", "j", "j")
        async with serving(second, socket):
            await it.until(lambda: it.shown == ["CERN-PROD_MCORE", "NEW_ONE"])
            assert it.cursor == "CERN-PROD_MCORE"
            assert it.app.overview.table.current is not None
            assert it.app.overview.table.current.activated == 77


async def test_a_factory_that_hangs_is_stale(socket: Path) -> None:
    served = small()
    async with console(served, socket, frozen=False) as it:
        served.hangs = True
        await it.see("○ STALE", seconds=link.WAIT_S + link.GRACE_S + 4)
        assert it.app.read_only
        served.hangs = False
        await it.see("● live")
        assert not it.app.read_only


async def test_a_change_comes_within_a_moment_and_leaves_the_rest_alone(socket: Path) -> None:
    served = small()
    async with console(served, socket) as it:
        await it.press("j", "j", "j")
        served.put(scenes.queue("CERN-PROD_MCORE", 1300, 99, 9815))
        await it.see("1300    99  9815", seconds=2)
        served.drop("CERN-EXT_GPU")
        await it.until(lambda: "CERN-EXT_GPU" not in it.shown, seconds=2)
        served.put(scenes.queue("AAA_FIRST", 1, 0, 0))
        await it.until(lambda: it.shown[0] == "AAA_FIRST", seconds=2)
        assert it.cursor == "CERN-PROD_MCORE"


def arrived(it: Console, version: int) -> bool:
    return it.app.store.version == version


async def test_the_cursor_stays_on_its_queue_when_the_order_changes(socket: Path) -> None:
    served = Served(scenes.factory(), *scenes.thousand())
    async with console(served, socket) as it:
        await it.press("s", "s", *["pagedown"] * 8)
        name = it.cursor
        assert name is not None
        line = next(i for i, text in enumerate(it.text().splitlines()) if text.startswith("▌"))
        for seed in range(2, 5):
            served.put(
                *(
                    queue.model_copy(update={"activated": (queue.activated or 0) * seed % 3001})
                    for queue in served.queues.values()
                    if queue.name != name
                )
            )
            version = served.version
            await it.until(partial(arrived, it, version))
            assert it.cursor == name
            shown = it.text().splitlines()
            assert shown[line].startswith(f"▌ {name[:17]}"), "the eye has to look for it"


async def test_a_queue_that_goes_gives_the_cursor_to_its_neighbour(socket: Path) -> None:
    served = small()
    async with console(served, socket) as it:
        await it.press("j", "j")
        served.drop("CERN-P1_MCORE")
        await it.until(lambda: it.cursor == "CERN-PROD_MCORE")
        assert it.text().count("▌") == 1


async def test_a_thousand_queues_come_in_pages_and_are_shown_at_once(socket: Path) -> None:
    served = Served(scenes.factory(), *scenes.thousand())
    seen: set[int] = set()
    async with opened(served, socket) as it:
        it.app.store.subscribe(lambda change: seen.add(len(it.app.store.queues)))
        async with serving(served, socket):
            await it.until(lambda: len(it.shown) == 1000)
            assert served.polls >= 5
            assert seen == {0, 1000}


async def test_the_link_is_live_only_while_answers_come(socket: Path) -> None:
    async with console(small(), socket) as it:
        assert it.app.store.link is Link.LIVE
        polls = it.served.polls
        await it.until(lambda: it.served.polls > polls, seconds=link.WAIT_S + 2)

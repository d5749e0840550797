"""Wrappers in the console: looked at, edited, published, rolled back, and what survives."""

import asyncio
import os
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from textual import events

from apftui.console.drafts import Desk, folder
from apftui.console.screens.confirm import Confirm
from apftui.console.screens.overview import Overview
from apftui.console.screens.workshop import PAUSE_S, Workshop
from apftui.console.screens.wrappers import WrappersScreen
from core.api.models import Problem
from core.api.wrappers import Fault, VersionStatus
from core.model.errors import ApftuiError
from tests.console import scenes
from tests.console.conftest import Console, console
from tests.console.served import Served
from tests.console.test_hostile import EVIL

SIZES = [(80, 24), (200, 60)]
Same = Callable[[str, str], None]
FAULT = Fault(text="syntax error near unexpected token `fi'", file="wrapper.sh", line=11)
LOST = Fault(
    text="wrapper generic needs its parameter command: The command.",
    cure="set wrapper_parameters.command",
    queues=("CERN-PROD_MCORE", "CERN-PROD_SCORE"),
)


def bench() -> Served:
    served = Served(scenes.factory(), *scenes.small())
    served.wrappers = scenes.wrappers()
    second = scenes.TEMPLATE.replace("report_node\n", "report_node\nlook_for_cvmfs\n")
    served.templates = {
        ("generic", "1"): scenes.TEMPLATE,
        ("generic", "2"): second,
        ("generic", "3"): scenes.TEMPLATE,
        ("generic", "shipped"): scenes.TEMPLATE,
        ("directory", "shipped"): scenes.TEMPLATE,
    }
    served.faults = lambda draft: (FAULT,) if "\nfi" in (draft.template or "") else ()
    return served


@asynccontextmanager
async def workshop(
    served: Served, socket: Path, size: tuple[int, int] = (80, 24), **more: bool
) -> AsyncIterator[Console]:
    """Open the wrapper of the queue under the cursor."""
    async with console(served, socket, size, **more) as it:
        await it.press("w")
        await it.until(lambda: isinstance(it.app.screen, Workshop) and shop(it)._loaded)
        await it.until(lambda: "bash -n" in it.text() or "problem" in it.text())
        yield it


def shop(it: Console) -> Workshop:
    assert isinstance(it.app.screen, Workshop)
    return it.app.screen


async def append(it: Console, text: str) -> None:
    """Type at the end of the template."""
    shop(it).editor.move_cursor(shop(it).editor.document.end)
    await it.press(*(KEYS.get(char, char) for char in text))


KEYS = {"\n": "enter", " ": "space", "#": "number_sign"}


def kept(home: Path, wrapper: str = "generic") -> list[Path]:
    folder = home / ".local/state/apftui/drafts/cern-01"
    return sorted(folder.glob(f"{wrapper}@*.sh"))


# As it looks


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_list(size: tuple[int, int], socket: Path, home: Path, same: Same) -> None:
    desk = Desk(home / ".local/state/apftui/drafts/cern-01", "generic")
    desk.write("3", "#!/bin/bash\n")
    desk.close()
    async with console(bench(), socket, size) as it:
        await it.press("4")
        await it.see("back: 2")
        same(f"wrappers-{size[0]}x{size[1]}", it.text())


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("name", "keys", "see"),
    [
        ("edit", [], "✓ bash -n"),
        ("preview", ["f6", "right_curly_bracket"], "for CERN-PROD_MCORE"),
        ("versions", ["f4", "down"], "look"),
        ("help", ["f4", "question_mark"], "Wrapper ─"),
    ],
)
async def test_looked_at(
    name: str, keys: list[str], see: str, size: tuple[int, int], socket: Path, same: Same
) -> None:
    async with workshop(bench(), socket, size) as it:
        await it.press(*keys)
        await it.see(see)
        if name == "preview":
            await it.until(lambda: "command=CERN-PROD_MCORE" in it.text())
        same(f"workshop_{name}-{size[0]}x{size[1]}", it.text())


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_edited(size: tuple[int, int], socket: Path, same: Same) -> None:
    served = bench()
    served.faults = lambda draft: (FAULT, LOST) if draft.template else ()
    async with workshop(served, socket, size) as it:
        await append(it, "fi\n")
        await it.see("✗ 2 problems")
        await it.see("kept 12:00:00Z")
        same(f"workshop_faults-{size[0]}x{size[1]}", it.text())
        await it.press("f3")
        assert shop(it).editor.cursor_location == (10, 0)
        served.faults = lambda draft: ()
        await append(it, "true\n")
        await it.see("✓ bash -n")
        await it.press("f7")
        await it.until(lambda: "the script for" in it.text())
        same(f"workshop_diff-{size[0]}x{size[1]}", it.text())
        await it.press("f8")
        same(f"workshop_publish-{size[0]}x{size[1]}", it.text())


# Typing


async def test_letters_are_text_and_no_commands(socket: Path) -> None:
    async with workshop(bench(), socket) as it:
        await append(it, "q p w 4 k G\n")
        assert shop(it).editor.text.endswith('"${command[@]}"\nq p w 4 k G\n')
        assert ": commands" not in it.text().splitlines()[-1]
        await it.press("f6")
        assert ": commands" in it.text().splitlines()[-1]
        await it.press("escape")
        assert shop(it).tab == "edit"
        await it.press("escape")
        assert isinstance(it.app.screen, Overview)


async def test_keys_that_come_together_are_done_in_their_order(socket: Path) -> None:
    async with workshop(bench(), socket) as it:
        editor = shop(it).editor
        editor.move_cursor((1, 0))
        keys = ["end", "x", "down", "y", "home", "z", "up", "w"]
        for key in keys:
            it.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await it.until(lambda: "w" in editor.text.split("\n")[1][:2])
        assert editor.text.split("\n")[1:3] == [
            '#w A pilot of the factory apftui, wrapper "generic".x',
            "zcommand=(@{ command }@)y",
        ]


async def test_a_draft_is_kept_as_one_stops_typing_and_is_there_again(
    socket: Path, home: Path
) -> None:
    served = bench()
    async with workshop(served, socket) as it:
        assert kept(home) == []
        await append(it, "# mine\n")
        await it.see("kept 12:00:00Z")
        (file,) = kept(home)
        assert file.name == "generic@3.sh"
        await it.until(lambda: file.read_text() == scenes.TEMPLATE + "# mine\n")
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        await it.press("escape")
        await it.see("your draft of generic is kept")
    async with workshop(served, socket) as it:
        await it.see("this is your draft of")
        assert shop(it).editor.text.endswith("# mine\n")
        assert "✎ draft from 3" in it.text()
        await it.press("ctrl+z", "f9")
        await it.see("Drop your draft?")
        await it.press("escape")
        assert shop(it).editor.text.endswith("# mine\n")
        await it.press("f9", "tab", "enter")
        await it.see("no draft")
        await it.until(lambda: kept(home) == [])
        assert shop(it).editor.text == scenes.TEMPLATE


async def test_what_was_typed_just_before_leaving_is_kept(socket: Path, home: Path) -> None:
    async with workshop(bench(), socket) as it:
        await append(it, "# last word\n")
        await it.press("escape")
        (file,) = kept(home)
        assert file.read_text().endswith("# last word\n")
    file.unlink()
    async with workshop(bench(), socket) as it:
        await append(it, "# at the end\n")
        it.app.exit()
    (file,) = kept(home)
    assert file.read_text().endswith("# at the end\n")


async def test_what_counts_anyway_is_no_draft(socket: Path, home: Path) -> None:
    async with workshop(bench(), socket) as it:
        await append(it, "x")
        await it.see("kept 12:00:00Z")
        await it.press("backspace")
        await it.see("no draft")
        await it.until(lambda: kept(home) == [])
        await it.press("f8")
        await it.see("there is no draft to publish")


async def test_an_older_answer_never_comes_over_a_newer_one(socket: Path) -> None:
    served = bench()
    slow = asyncio.Event()
    answer = served.check

    async def check(request: object) -> object:
        body = await request.read()  # type: ignore[attr-defined]
        if b"first" in body and b"second" not in body:
            await slow.wait()
        return await answer(request)  # type: ignore[arg-type]

    served.check = check  # type: ignore[method-assign, assignment]
    served.faults = lambda draft: (FAULT,) if "second" not in (draft.template or "") else ()
    async with workshop(served, socket) as it:
        await append(it, "# first\n")
        await asyncio.sleep(0.8)
        await append(it, "# second\n")
        await it.see("✓ bash -n")
        slow.set()
        await asyncio.sleep(0.3)
        assert "✓ bash -n" in it.text()
        assert FAULT.text not in it.text()


@pytest.mark.parametrize("text", ["\x1b]0;x\x07", "a\u202eb", "\x9b2J", "\u2066x"])
async def test_a_pasted_character_that_moves_a_terminal_stays_visible(
    socket: Path, text: str
) -> None:
    async with workshop(bench(), socket) as it:
        editor = shop(it).editor
        editor.move_cursor(editor.document.end)
        it.app.post_message(events.Paste(f"one\ttab\r\n{text}\n"))
        await it.until(lambda: "one\ttab\n" in editor.text)
        assert all(c.isprintable() or c in "\t\n" for c in editor.text)
        assert "\\x" in editor.text or "\\u" in editor.text
        assert printable(it)


async def test_a_hostile_template_is_shown_and_does_nothing(socket: Path) -> None:
    served = bench()
    evil = "#!/bin/bash\n# \x1b[2J\x1b]52;c;aGk=\x07 [@click=app.quit]x[/] \u202e\n"
    served.templates["generic", "3"] = evil
    async with workshop(served, socket) as it:
        for key in ("f2", "f6", "f7", "f4", "enter"):
            await it.press(key)
            await it.pilot.pause(0.1)
            assert printable(it)
        await it.press("escape", "f2")
        assert "\\x1b[2J" in shop(it).editor.text
        assert "no draft" in it.text()


async def test_what_is_told_of_wrappers_does_nothing_either(socket: Path) -> None:
    served = bench()
    evil = VersionStatus(version="3", by=EVIL, at=0.0, message=EVIL, problem=EVIL)
    served.wrappers = tuple(
        w.model_copy(update={"summary": EVIL, "problem": EVIL, "versions": (evil,)})
        for w in served.wrappers
    )
    served.faults = lambda draft: (Fault(text=EVIL, cure=EVIL, file=EVIL, line=1, queues=(EVIL,)),)
    async with console(served, socket) as it:
        await it.press("4")
        await it.see("generic")
        assert printable(it)
        await it.press("G", "enter")
        await it.see("1 problem")
        assert printable(it)
        await it.press("f4")
        assert printable(it)
        served.refuse = (400, Problem(error=EVIL))
        await it.press("f2")
        await append(it, "x")
        await it.see("kept 12:00:00Z")
        assert printable(it)


def printable(it: Console) -> bool:
    return all(c.isprintable() or c == "\n" for c in it.text())


async def test_bash_is_highlighted_up_to_a_thousand_lines(socket: Path) -> None:
    async with workshop(bench(), socket) as it:
        editor = shop(it).editor
        assert editor.language == "bash"
        assert editor.is_syntax_aware
        drawn = {
            segment.text.strip(): segment.style
            for line in range(8)
            for segment in editor.render_line(line)
            if segment.style
        }
        assert drawn["set"].bold
        assert drawn["report_node"].bold
        assert drawn[scenes.TEMPLATE.split("\n")[1]].italic
        editor.load("#!/bin/bash\n" + "true\n" * 1500)
        assert editor.language is None


# Publishing


async def publish(it: Console, message: str = "why", count: str = "3") -> None:
    await it.press("f8")
    await it.until(lambda: isinstance(it.app.screen, Confirm))
    assert it.app.focused is not None
    assert it.app.focused.id == "cancel"
    await it.press("tab")
    await it.until(lambda: it.app.focused is not None and it.app.focused.id == "why")
    await it.type(message)
    await it.press("tab")
    await it.type(count)
    await it.press("tab", "tab", "enter")


async def test_published_with_a_message_and_the_number_of_queues(socket: Path, home: Path) -> None:
    served = bench()
    async with workshop(served, socket) as it:
        await append(it, "# mine\n")
        await it.see("kept 12:00:00Z")
        await publish(it, "a reason")
        await it.see("publish wrapper generic 4: applied")
        (asked,) = served.published
        assert (asked.name, asked.version, asked.base, asked.message) == (
            "generic",
            "3",
            "3",
            "a reason",
        )
        assert asked.template == scenes.TEMPLATE + "# mine\n"
        await it.see("no draft")
        await it.until(lambda: kept(home) == [])
        assert "4 counts, op" in it.text()
        assert shop(it).editor.text.endswith("# mine\n")


@pytest.mark.parametrize(("message", "count"), [("", "3"), ("why", "2"), ("  ", "3")])
async def test_without_message_or_number_nothing_is_published(
    socket: Path, message: str, count: str
) -> None:
    served = bench()
    async with workshop(served, socket) as it:
        await append(it, "# mine\n")
        await publish(it, message, count)
        assert isinstance(it.app.screen, Confirm)
        await it.press("escape")
        assert served.published == []
        assert shop(it).editor.text.endswith("# mine\n")


async def test_what_has_problems_is_not_even_asked_for(socket: Path) -> None:
    async with workshop(bench(), socket) as it:
        await append(it, "fi\n")
        await it.see("✗ 1 problem")
        await it.press("f8")
        await it.see("not published: 1 problem")
        assert isinstance(it.app.screen, Workshop)


async def test_a_draft_that_came_too_late_is_kept_and_shown_the_difference(
    socket: Path, home: Path, same: Same
) -> None:
    served = bench()
    async with workshop(served, socket) as it:
        await append(it, "# mine\n")
        await it.see("kept 12:00:00Z")
        served.wrappers = tuple(
            w.model_copy(update={"version": "4"}) if w.name == "generic" else w
            for w in served.wrappers
        )
        served.templates["generic", "4"] = scenes.TEMPLATE + "# theirs\n"
        error = "wrapper generic is at version 4 by now, not at 3: ann published it (theirs)"
        served.refuse = (409, Problem(error=error, diff=("@@ -10 @@", "+# theirs")))
        await publish(it)
        await it.see("+# theirs")
        same("workshop_stale-80x24", it.text())
        await it.press("enter")
        assert shop(it).editor.text.endswith("# mine\n")
        assert [p.name for p in kept(home)] == ["generic@4.sh"]
        await it.press("f7")
        await it.see("-# theirs")
        served.refuse = None
        await publish(it)
        await it.see("applied")
        assert served.published[0].base == "4"


async def test_what_another_console_publishes_is_seen(socket: Path) -> None:
    served = bench()
    async with workshop(served, socket) as it:
        published(served)
        await it.see("4 counts")
        assert shop(it).editor.text.endswith("# theirs\n")  # there is no draft here
        await append(it, "# mine\n")
        published(served, "5")
        await it.see("5 counts by now")
        assert shop(it).editor.text.endswith("# mine\n")


async def test_what_is_typed_while_another_s_version_is_read_is_not_lost(socket: Path) -> None:
    served = bench()
    asked, slow, answer = asyncio.Event(), asyncio.Event(), served.wrapper

    async def wrapper(request: web.Request) -> web.Response:
        if ("generic", "4") in served.templates:
            asked.set()
            await slow.wait()
        return await answer(request)

    served.wrapper = wrapper  # type: ignore[method-assign]
    async with workshop(served, socket) as it:
        published(served)
        await asyncio.wait_for(asked.wait(), 10)
        await append(it, "# mine\n")
        slow.set()
        await it.see("draft from 3, 4 counts by now")
        assert shop(it).editor.text == scenes.TEMPLATE + "# mine\n"


def published(served: Served, version: str = "4") -> None:
    served.wrappers = tuple(
        w.model_copy(update={"version": version}) if w.name == "generic" else w
        for w in served.wrappers
    )
    served.templates["generic", version] = f"{scenes.TEMPLATE}# {version}\n# theirs\n"
    queue = served.queues["CERN-PROD_MCORE"]
    served.put(queue.model_copy(update={"wrapper_version": version}))


async def test_rolled_back_from_the_list_of_versions(socket: Path, home: Path) -> None:
    served = bench()
    served.templates["generic", "2"] += f"# {'x' * 100}\n" * 40
    async with workshop(served, socket) as it:
        shop(it).editor.move_cursor((3, 2))
        await it.press("f4")
        await it.press("f8")
        await it.see("3 is the one that counts")
        await it.press("down", "enter")
        await it.see("look_for_cvmfs")
        await it.press("escape")
        assert shop(it).tab == "versions"
        await publish(it, "1 was better")
        await it.see("publish wrapper generic 4: applied")
        (asked,) = served.published
        assert (asked.version, asked.template, asked.base) == ("2", None, "3")
        # What counted before is not taken for a draft.
        await it.until(lambda: "look_for_cvmfs" in shop(it).editor.text)
        await it.see("no draft")
        await asyncio.sleep(PAUSE_S + 0.2)
        assert kept(home) == []
        await it.press("f2")
        assert " 1  #!/bin/bash" in it.text()


async def test_read_only_looks_and_does_not_touch(socket: Path, home: Path, same: Same) -> None:
    async with workshop(bench(), socket, read_only=True) as it:
        await it.type("xyz")
        assert shop(it).editor.text == scenes.TEMPLATE
        for key in ("f8", "ctrl+e", "f9"):
            await it.press(key)
            assert isinstance(it.app.screen, Workshop)
            assert "read-only" in it.text()
        same("workshop_read_only-80x24", it.text())
        await it.press("j", "j")
        assert shop(it).editor.cursor_location[0] == 2
        await it.press("f6")
        await it.see("report_node")
    assert kept(home) == []


async def test_a_second_console_of_the_account_looks_only(socket: Path, home: Path) -> None:
    desk = Desk(home / ".local/state/apftui/drafts/cern-01", "generic")
    async with workshop(bench(), socket) as it:
        await it.see("another console of this account edits generic")
        await it.type("xyz")
        assert shop(it).editor.text == scenes.TEMPLATE
    desk.close()
    async with workshop(bench(), socket) as it:
        await append(it, "x")
        with pytest.raises(ApftuiError, match="another console"):
            Desk(home / ".local/state/apftui/drafts/cern-01", "generic")


async def test_typing_goes_on_while_the_factory_is_lost(socket: Path, home: Path) -> None:
    served = bench()
    async with workshop(served, socket) as it:
        served.hangs = True
        it.app.store.lose("gone")
        await append(it, "# mine\n")
        await it.see("kept 12:00:00Z")
        assert kept(home)
        await it.press("f8")
        assert isinstance(it.app.screen, Workshop)
        served.hangs = False


async def test_one_that_is_opened_while_the_factory_is_lost_is_there_when_it_is_back(
    socket: Path,
) -> None:
    served = bench()
    templates, served.templates = served.templates, {}
    async with console(served, socket) as it:
        await it.press("w")
        await it.see("has no version")
        assert shop(it).editor.read_only
        served.templates = templates
        published(served)
        await it.until(lambda: shop(it)._loaded)
        await append(it, "# mine\n")
        await it.see("draft from 4")


async def test_a_disk_that_takes_no_draft_is_told_and_no_text_is_lost(
    socket: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workshop(bench(), socket) as it:

        def full(fd: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        await append(it, "# mine\n")
        await it.see("the draft is not kept")
        await it.see("not kept yet")
        assert not list((home / ".local/state/apftui/drafts/cern-01").glob(".new-*"))
        await it.press("escape")
        assert shop(it).editor.text.endswith("# mine\n")
        assert "the draft is not kept" in it.text()
        await it.press("f9", "tab", "enter")
        await it.see("no draft")
        await it.press("escape")
        assert isinstance(it.app.screen, Overview)


async def test_what_is_typed_while_an_older_text_is_written_is_kept_too(
    socket: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go, fsync = threading.Event(), threading.Event(), os.fsync

    def slow(fd: int) -> None:
        writing.set()
        go.wait(10)
        fsync(fd)

    async with workshop(bench(), socket) as it:
        monkeypatch.setattr(os, "fsync", slow)
        await append(it, "# first\n")
        await it.until(writing.is_set)
        await append(it, "x")
        go.set()
        await it.until(lambda: shop(it).bench.kept_at)
        it.app.exit()
    (file,) = kept(home)
    assert file.read_text().endswith("# first\nx")


async def test_the_list_opens_one_and_comes_back(socket: Path) -> None:
    async with console(bench(), socket) as it:
        await it.press("4")
        await it.see("shipped")
        await it.press("j", "enter")
        await it.until(lambda: isinstance(it.app.screen, Workshop))
        await it.see("generic")
        await it.press("escape")
        assert isinstance(it.app.screen, WrappersScreen)
        await it.press("q")
        assert isinstance(it.app.screen, Overview)


async def test_nothing_here_holds_up_the_keys(socket: Path) -> None:
    """What is done at each key, beside Textual's own editor, on a template of 900 lines."""
    served = bench()
    served.templates["generic", "3"] = "#!/bin/bash\n" + 'tell "payloads run: $payloads"\n' * 900
    async with workshop(served, socket, (200, 60)) as it:
        await append(it, "x")
        best = min(timed(shop(it)._show) for _ in range(20))
        assert best < 0.005, best


def timed(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_drafts_are_nobody_else_s(tmp_path: Path) -> None:
    for name in ("..", "../x", "/etc", ""):
        assert folder(name, {"HOME": "/h"}).name == "unknown"
    desk = Desk(tmp_path / "a" / "b", "generic")
    path = desk.write("3", "text")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    desk.write("4", "newer")
    assert [p.name for p in path.parent.glob("*.sh")] == ["generic@4.sh"]
    found = desk.read()
    assert found is not None
    assert (found.base, found.text) == ("4", "newer")
    long = "x" * 300_000  # longer than can be published, and yet the operator's
    desk.write("4", long)
    found = desk.read()
    assert found is not None
    assert found.text == long
    with pytest.raises(ApftuiError, match="name"):
        Desk(tmp_path, "../x")
    desk.close()

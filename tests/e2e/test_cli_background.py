"""A factory in the background: asked for, started once, and out of reach of the terminal."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.screen import Screen
from tests.running import Site, local_settings, sleepers
from tests.typed import PROGRAM, apftui

START = """
import sys
from pathlib import Path
from apftui.cli.background import start
from apftui.cli.command import Common
from apftui.cli.place import place
where = place(Common(config=Path(sys.argv[1])))
print(start(where.settings, where.factory))
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, local_settings("[queues.Q]")) as made:
        yield made
        apftui("stop", "--remove-pilots", "--config", made.config)


def running_pid(site: Site) -> int:
    status = apftui("status", "--json", "--config", site.config)
    assert status.code == 0, status.err
    return int(status.json["factory"]["pid"])


def test_it_asks_starts_and_attaches_and_a_lost_line_does_not_reach_it(site: Site) -> None:
    config = ["--config", str(site.config)]
    with Screen(*config) as screen:
        screen.until("start it in the background? [Y/n]")
        screen.type("\n")
        screen.until("Q")
        pid = running_pid(site)
        assert os.getsid(pid) != os.getsid(screen.pid)
        screen.hang_up()
        screen.ended()
    assert running_pid(site) == pid
    with Screen(*config) as again:
        again.until("Q")
        assert "in the background?" not in again.text
        again.type("q")
        assert again.ended() == 0
    assert running_pid(site) == pid


def test_no_is_an_answer(site: Site) -> None:
    with Screen("--config", str(site.config)) as screen:
        screen.until("[Y/n]")
        screen.type("n\n")
        screen.until("nothing was started")
        assert screen.ended() == 0
    assert not site.state.exists()


def test_two_who_start_at_once_share_one_factory(site: Site) -> None:
    commands = [[sys.executable, "-c", START, str(site.config)]] * 3
    started = [subprocess.Popen(c, stdout=subprocess.PIPE, text=True) for c in commands]
    sockets = {process.communicate(timeout=60)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(sockets) == 1
    running_pid(site)


def test_what_hinders_the_start_is_told(site: Site) -> None:
    site.state.mkdir()
    (site.state / "overrides.toml").write_text("[[")
    done = subprocess.run(
        [sys.executable, "-c", START, str(site.config)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "overrides.toml" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("factory", "args", "says"),
    [
        ("", ["--read-only"], "--read-only starts none"),
        ('started_by = "systemd"', [], "systemctl start apftui"),
    ],
)
def test_some_never_start_one(site: Site, factory: str, args: list[str], says: str) -> None:
    site.write(local_settings("[queues.Q]", factory=factory))
    with Screen(*args, "--config", str(site.config)) as screen:
        screen.until(says)
        assert screen.ended() == 1
    assert not site.state.exists()


def test_without_settings_it_offers_a_way_on(home: Path) -> None:
    with Screen() as screen:
        screen.until("What now?")
        assert str(home / ".config/apftui/factory.toml") in screen.text
        screen.type("quit\n")
        assert screen.ended() == 0
    with Screen() as screen:
        screen.until("What now?")
        screen.type("init\n")
        screen.until("apftui check")
        assert screen.ended() == 0
    assert apftui("check").code == 0


def test_a_folder_named_core_where_it_is_typed_is_not_ours(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bait = tmp_path / "bait" / "core"
    bait.mkdir(parents=True)
    (bait / "__init__.py").write_text("raise SystemExit('bait')")
    monkeypatch.chdir(bait.parent)
    program = str(Path(sys.executable).with_name("apftui"))
    done = subprocess.run(
        [program, "--no-ui", "--cycles", "1", "--config", site.config],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_foreground_ends_on_sigint_and_reloads_on_sighup(site: Site) -> None:
    factory = site.start((*PROGRAM, "--no-ui", "--config"))
    site.write(local_settings("[queues.Q]\n[queues.R]"))
    factory.signal(signal.SIGHUP)
    factory.until(lambda status: len(status.queues) == 2)
    factory.signal(signal.SIGINT)
    assert factory.ended() == 0


def test_a_signal_ends_the_wait_for_pilots_too(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings(sleepers("S", 1))) as site:
        factory = site.start((*PROGRAM, "--no-ui", "--cycles", "1", "--config"))
        factory.until(lambda status: status.queues[0].running == 1)
        assert factory.stop(seconds=10) == 0

"""A headless life: signals, systemd, one factory per state folder, pilots that outlive it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.api.models import Hello, ReloadResult
from core.state import lock
from plugins.local import pilots as local
from tests.running import BACKGROUND, FOREGROUND, Running, Site, local_settings, sleepers
from tests.typed import apftui

SETTINGS = local_settings(sleepers("S", 2))


def pilots(site: Site) -> list[int]:
    """Return the pids of the shims that live: a free lock is a dead shim."""
    found = (pilot for submission in local.live(site.pilots) for pilot in submission.pilots())
    return sorted(
        int((pilot / local.STARTED).read_text())
        for pilot in found
        if local.state(pilot) is local.State.RUNNING
    )


def running(factory: Running, n: int) -> None:
    factory.until(lambda s: [q.running for q in s.queues if q.name == "S"] == [n])


@pytest.mark.parametrize(
    ("command", "number"), [(BACKGROUND, signal.SIGTERM), (FOREGROUND, signal.SIGINT)]
)
def test_a_signal_ends_it_cleanly_and_leaves_the_pilots(
    tmp_path: Path, command: tuple[str, ...], number: signal.Signals
) -> None:
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start(command)
        running(factory, 2)
        workers = factory.children()
        factory.signal(number)
        assert factory.ended() == 0, factory.said() + factory.log()
        assert not factory.socket.exists()
        assert not lock.held(site.state)
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
        assert not list(site.state.glob("*-wal"))  # the databases are closed
        alive = pilots(site)
        assert len(alive) == 2
        again = site.start(command)
        running(again, 2)
        again.until(lambda s: s.factory.cycle > 3)
        assert pilots(site) == alive
        assert len(again.intents()) == 1


def test_a_pass_that_sends_nothing_is_not_worth_a_line(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start(FOREGROUND)
        running(factory, 2)
        factory.until(lambda s: s.factory.cycle > 10)
        assert factory.stop() == 0
        passes = [line for line in factory.said().splitlines() if ": " in line and " pass " in line]
        assert len(passes) == 1, factory.said()
        assert passes[0].endswith(": 2 pilots for 1 of 1 queues: S +2")


def test_stop_by_the_api_and_pilots_removed_if_told(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start()
        running(factory, 2)
        code, told = factory.call("POST", "/v1/stop", {"remove_pilots": True})
        assert (code, told["pid"]) == (200, factory.pid)
        assert factory.ended() == 0
        assert pilots(site) == []


def test_pilots_that_cannot_be_removed_are_not_said_to_be(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start()
        running(factory, 2)
        site.pilots.chmod(0o707)  # everybody might have put something there: it is not touched
        try:
            command = [sys.executable, "-m", "apftui", "stop", "--remove-pilots", "--config"]
            told = subprocess.run(
                [*command, site.config], capture_output=True, text=True, timeout=60, check=False
            )
            assert factory.ended() == 1
            assert told.returncode == 1
            assert "not all removed" in told.stdout
            assert "writable by everyone" in told.stderr
        finally:
            site.pilots.chmod(0o700)
        assert len(pilots(site)) == 2
        again = site.start()
        code, actions = again.call("GET", "/v1/actions")
        assert (code, actions[0]["what"], actions[0]["state"]) == (
            200,
            "remove all pilots",
            "failed",
        )
        command[-2:] = ["--remove-pilots", "--json", "--config"]
        told = subprocess.run(
            [*command, site.config], capture_output=True, text=True, timeout=60, check=False
        )
        assert (told.returncode, json.loads(told.stdout)["pilots_removed"]) == (0, True), told
        assert pilots(site) == []


def test_workers_die_with_a_killed_factory(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start()
        running(factory, 2)
        workers = factory.children()
        assert len(workers) >= 3  # wms, batch, submit, decider
        factory.kill()
        fd = lock.open_submit_lock(site.state)
        try:
            end = threading.Event()
            for _ in range(100):
                if lock.no_submitter_lives(fd):
                    break
                end.wait(0.05)
            assert lock.no_submitter_lives(fd)
        finally:
            os.close(fd)
        assert len(pilots(site)) == 2


def test_systemd_is_told_once_the_socket_listens(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    answered: list[str] = []
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        Site(tmp_path / "site", SETTINGS) as site,
    ):
        systemd.bind(str(address))
        systemd.settimeout(20)
        factory = site.launch(env={"NOTIFY_SOCKET": str(address)})
        assert systemd.recv(100) == b"READY=1"
        answered.append(factory.get("/v1/hello", Hello).name)  # at once, without another try
        assert factory.stop() == 0
        assert systemd.recv(100) == b"STOPPING=1"
    assert answered == ["test-01"]


def test_the_second_names_the_first_and_ends(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        first = site.start()
        second = site.launch()
        assert second.ended() == 1
        said = second.said()
        assert f"pid {first.pid} on {socket.gethostname()}" in said
        assert "apftui stop" in said
        assert "Traceback" not in said
        assert first.get("/v1/hello", Hello).pid == first.pid
        assert first.stop() == 0


def test_of_several_that_start_at_once_exactly_one_runs(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        site.state.mkdir()
        several = [site.launch() for _ in range(4)]
        ended: list[Running] = []
        for _ in range(400):
            ended = [f for f in several if f.process.poll() is not None]
            if len(ended) == 3:
                break
            threading.Event().wait(0.05)
        assert [f.process.returncode for f in ended] == [1, 1, 1]
        (left,) = [f for f in several if f not in ended]
        left.wait_ready()
        running(left, 2)
        assert all("is in use by" in f.said() for f in ended)
        assert len(left.intents()) == 1
        assert left.stop() == 0


def test_a_queue_that_leaves_with_pilots_drains(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings(sleepers("S", 2, seconds=2) + "[queues.Q]\n")) as site:
        factory = site.start()
        running(factory, 2)
        site.write(local_settings("[queues.Q]\n"))
        assert factory.post("/v1/reload", None, ReloadResult).removed == ("S",)
        row = factory.queue("S")
        assert (row.state, row.running, row.decision) == ("draining", 2, None)
        assert row.reason == "not in the settings any more, 2 pilots left"
        assert factory.status().factory.alarms == ()
        factory.until(lambda s: [q.name for q in s.queues] == ["Q"])
        assert len(factory.intents()) == 1
        told = apftui("explain", "S", "--config", site.config)
        assert told.code == 0, told.err
        assert "fixed" in told.out


def test_a_batch_system_with_pilots_cannot_leave_the_settings(tmp_path: Path) -> None:
    """Nobody would count them any more."""
    with Site(tmp_path, local_settings(sleepers("S", 2))) as site:
        factory = site.start()
        running(factory, 2)
        text = local_settings("[queues.Q]\n").replace("[batch.here]", "[batch.there]")
        site.write(
            text.replace('batch = "here"', 'batch = "there"').replace('"pilots"', '"others"')
        )
        code, answer = factory.call("POST", "/v1/reload")
        assert code == 400
        assert "[batch.here] is gone from the settings and still has 2 pilots" in answer["error"]
        assert factory.queue("S").running == 2

"""The state folder full, read-only, damaged, remote: nothing is submitted, and it says why."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.api.models import QueueDetail
from plugins.local import pilots
from tests.running import Running, Site, local_settings, sleepers

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
SETTINGS = local_settings(sleepers("S", 2) + "[queues.Q]\n")


@contextmanager
def mounted(folder: Path, size: str = "4m") -> Iterator[Path]:
    """Give a folder a small file system of its own."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "apftui-test", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def disk(folder: Path, image: Path) -> Iterator[Callable[[str], None]]:
    """Give a folder an ext4 of its own; yields what mounts it anew with an option."""
    folder.mkdir(exist_ok=True)
    with image.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    made = subprocess.run(["mkfs.ext4", "-q", str(image)], check=False).returncode == 0
    mount = ["mount", "-o", "loop", str(image), str(folder)]
    if not made or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file")

    def remount(option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)

    try:
        yield remount
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not one byte of room."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    return ballast


def submitted(site: Site) -> int:
    """Return how many submissions `local` has ever had."""
    ended = site.pilots / "ended"
    return len(list(pilots.live(site.pilots))) + len(list(pilots.live(ended)))


def decided(factory: Running) -> None:
    """Wait until every queue has been decided three times more."""
    cycle = factory.status().factory.cycle
    factory.until(lambda s: s.factory.cycle >= cycle + 3)


def told(factory: Running) -> str:
    return " | ".join(factory.status().factory.alarms)


@needs_root
def test_a_full_disk_stops_submissions_only_until_there_is_room(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site, mounted(site.state):
        factory = site.start()
        factory.until(lambda s: s.queues[1].running == 2)
        ballast = fill(site.state)
        factory.until(lambda s: "nothing is submitted: cannot write" in told(factory))
        assert "make room" in told(factory)
        site.payload("Q")
        decided(factory)
        assert submitted(site) == 1
        row = factory.queue("Q")
        assert row.activated == 1
        assert row.decision is not None
        assert (row.decision.submit, row.decision.bound_by) == (0, "ledger")
        assert "nothing is sent without its intent on disk" in row.decision.steps[-1].reason
        code, answer = factory.change("Q", "paused", True)
        assert code == 503
        assert "make room" in answer["error"]
        assert factory.queue("Q").state != "paused"
        ballast.unlink()
        factory.until(lambda s: s.factory.alarms == () and submitted(site) == 2)
        assert sorted((i.queue, i.n, i.state) for i in factory.settled()) == [
            ("Q", 1, "confirmed"),
            ("S", 2, "confirmed"),
        ]
        assert factory.stop() == 0


def test_the_alarm_ends_with_its_cause_also_if_nothing_is_wanted_any_more(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start()
        factory.until(lambda s: s.queues[1].running == 2)
        with sqlite3.connect(site.state / "state.db") as database:
            database.execute(
                "create trigger full before insert on intents"
                " begin select raise(abort, 'disk is full'); end"
            )
        payload = site.payload("Q")
        factory.until(lambda s: "disk is full" in told(factory))
        assert submitted(site) == 1
        payload.unlink()
        factory.until(lambda s: s.queues[0].activated == 0)
        with sqlite3.connect(site.state / "state.db") as database:
            database.execute("drop trigger full")
        factory.until(lambda s: s.factory.alarms == ())
        assert submitted(site) == 1


@needs_root
def test_a_disk_that_turns_read_only_under_a_running_factory(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site, disk(site.state, tmp_path / "image") as remount:
        factory = site.start()
        factory.until(lambda s: s.queues[1].running == 2)
        remount("abort")  # what ext4 does to itself after an error
        factory.until(lambda s: "nothing is submitted: cannot write" in told(factory))
        assert "mount it writable" in told(factory)
        site.payload("Q")
        decided(factory)
        assert submitted(site) == 1
        assert factory.queue("Q").activated == 1
        assert factory.change("Q", "paused", True)[0] == 503
        assert factory.stop() == 0, factory.said()
        refused = site.launch()
        assert refused.ended() == 1
        assert "Read-only file system" in refused.said() or "I/O error" in refused.said()
        assert "Traceback" not in refused.said()


@needs_root
def test_a_state_folder_that_is_read_only_at_the_start(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start()
        factory.until(lambda s: s.queues[1].running == 2)
        assert factory.stop() == 0
        for what in (("--bind", str(site.state)), ("-o", "remount,bind,ro")):
            if subprocess.run(["mount", *what, str(site.state)], check=False).returncode:
                pytest.skip("this machine lets nobody mount")
        try:
            refused = site.launch()
            assert refused.ended() == 1
            said = refused.said()
            assert "Read-only file system" in said
            assert str(site.state) in said
            assert "check the folder's owner and its disk" in said
            assert "Traceback" not in said
        finally:
            subprocess.run(["umount", "-l", str(site.state)], check=True)
        again = site.start()
        again.until(lambda s: s.queues[1].running == 2 and s.factory.alarms == ())
        assert submitted(site) == 1


@needs_root
def test_a_state_folder_on_a_remote_file_system_is_refused(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        site.state.mkdir()
        device = site.state.stat().st_dev
        told_by_kernel = tmp_path / "mountinfo"
        told_by_kernel.write_text(
            f"20 1 {os.major(device)}:{os.minor(device)} / / rw - nfs4 server:/home rw\n"
        )
        # Only this process sees the mount table of a machine with its home on NFS.
        script = f'mount --bind {told_by_kernel} /proc/$$/mountinfo && exec "$@"'
        elsewhere = ("unshare", "--mount", "sh", "-c", script, "sh")
        factory = site.launch(prefix=elsewhere)
        assert factory.ended() == 1
        said = factory.said()
        if "permission denied" in said:
            pytest.skip("this machine lets nobody mount")
        assert f"the state folder {site.state} is on nfs4, where locks do not hold" in said
        assert "set [factory] state to a folder on a local disk" in said
        assert not (site.state / "state.db").exists()
        checked = site.launch(
            (sys.executable, "-m", "apftui", "check", "--config"), prefix=elsewhere
        )
        assert checked.ended() == 1
        assert "is on nfs4, where locks do not hold" in checked.said()


def test_a_damaged_ledger_is_set_aside_and_what_runs_is_found_again(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start()
        factory.until(lambda s: s.queues[1].running == 2)
        (before,) = factory.intents()
        assert factory.stop() == 0
        damaged = bytearray((site.state / "state.db").read_bytes())
        damaged[4096:8192] = bytes(byte ^ 0xFF for byte in damaged[4096:8192])  # one page
        (site.state / "state.db").write_bytes(damaged)
        again = site.start()
        again.until(lambda s: s.queues[1].running == 2)
        decided(again)
        (found,) = again.intents()
        assert (found.submission, found.queue, found.n, found.state, found.cluster) == (
            before.submission,
            "S",
            2,
            "confirmed",
            before.cluster,
        )
        assert submitted(site) == 1
        assert "state.db was damaged and is set aside as state.db.damaged-" in told(again)
        assert "unknown to the ledger: adopted; the log names them" in told(again)
        assert "2 pilots of S found on" in again.log()
        assert list(site.state.glob("state.db.damaged-*"))


def test_a_lost_ledger_is_found_again_like_a_damaged_one(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start()
        factory.until(lambda s: s.queues[1].running == 2)
        factory.kill()
        for part in site.state.glob("state.db*"):
            part.unlink()
        again = site.start()
        again.until(lambda s: s.queues[1].running == 2)
        decided(again)
        assert [(i.queue, i.n, i.state) for i in again.intents()] == [("S", 2, "confirmed")]
        assert submitted(site) == 1


def test_a_ledger_of_a_newer_version_is_refused_with_the_cure(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        assert site.start().stop() == 0
        with sqlite3.connect(site.state / "state.db") as database:
            database.execute("pragma user_version = 99")
        refused = site.launch()
        assert refused.ended() == 1
        assert "has schema 99" in refused.said()
        assert "install the newer apftui again" in refused.said()
        assert "Traceback" not in refused.said()


def test_a_damaged_history_costs_the_history_only(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start()
        decided(factory)
        assert factory.stop() == 0
        (day,) = site.state.glob("history-*.db")
        day.write_bytes(b"no database " * 2000)
        factory = site.start()
        said = f"decisions are not recorded: cannot open {day}"
        factory.until(lambda s: s.queues[1].running == 2 and said in told(factory))
        assert factory.get("/v1/queue", QueueDetail, name="S").decisions == ()
        day.rename(tmp_path / "away")
        factory.until(lambda s: s.factory.alarms == ())
        assert factory.get("/v1/queue", QueueDetail, name="S").decisions

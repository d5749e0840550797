"""The state folder: private, local, with an identity; its locks name whoever holds them."""

import fcntl
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from core.model.errors import StateError
from core.state import folder, lock
from core.state.lock import InUse, StateLock


def test_it_is_made_for_its_owner_only(tmp_path: Path) -> None:
    made = tmp_path / "a" / "state"
    folder.prepare(made)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    folder.prepare(made)


def test_one_that_cannot_be_made_says_why_and_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"cannot make the state folder .*make it yourself"):
        folder.prepare(tmp_path / "file" / "state")


def test_the_file_system_is_the_one_that_the_kernel_mounted_there(tmp_path: Path) -> None:
    told = subprocess.run(
        ["stat", "-f", "-c", "%T", str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout.strip()
    kind = folder.filesystem(tmp_path)
    # stat has one name for the whole family: ext2/ext3.
    assert kind in told or kind.rstrip("234") in told or (kind, told) == ("overlay", "overlayfs")
    assert folder.filesystem(Path("/proc")) == "proc"


@pytest.mark.parametrize(
    ("kind", "remote"),
    [
        ("ext4", False),
        ("xfs", False),
        ("btrfs", False),
        ("tmpfs", False),
        ("overlay", False),
        ("zfs", False),
        ("unknown", False),
        ("nfs", True),
        ("nfs4", True),
        ("afs", True),
        ("cifs", True),
        ("lustre", True),
        ("ceph", True),
        ("fuse.sshfs", True),
        ("fuse.gcsfuse", True),
        ("9p", True),
    ],
)
def test_locks_are_trusted_only_where_they_hold(kind: str, remote: bool) -> None:
    assert folder.is_remote(kind) is remote


def test_its_identity_is_made_once_and_survives_the_ledger(tmp_path: Path) -> None:
    made = folder.instance(tmp_path)
    assert uuid.UUID(made).hex == made
    (tmp_path / "state.db").unlink(missing_ok=True)
    assert folder.instance(tmp_path) == made


@pytest.mark.parametrize("text", ["", "not a uuid", "\0" * 40])
def test_a_damaged_identity_is_never_replaced_by_itself(tmp_path: Path, text: str) -> None:
    (tmp_path / "instance").write_text(text)
    with pytest.raises(StateError, match=r"instance holds no uuid.*APFInstance"):
        folder.instance(tmp_path)
    assert (tmp_path / "instance").read_text() == text


def test_the_lock_names_its_holder_to_whoever_comes_second(tmp_path: Path) -> None:
    first = StateLock(tmp_path, "console")
    assert lock.held(tmp_path)
    with pytest.raises(
        InUse, match=rf"pid {os.getpid()} on {re.escape(socket.gethostname())}.*apftui stop"
    ):
        StateLock(tmp_path, "console")
    first.release()
    assert not lock.held(tmp_path)
    StateLock(tmp_path, "console").release()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "\\u001b[31m1", "host": null}'])
def test_a_strange_lock_file_still_locks(tmp_path: Path, text: str) -> None:
    first = StateLock(tmp_path, "console")
    (tmp_path / "factory.lock").write_text(text)
    with pytest.raises(InUse) as caught:
        StateLock(tmp_path, "console")
    assert "\x1b" not in str(caught.value)
    first.release()


_HOLD = """
import sys, time
from pathlib import Path
from core.state.lock import StateLock, open_submit_lock, share_submit_lock
folder = Path(sys.argv[1])
lock = StateLock(folder, "console")
share_submit_lock(open_submit_lock(folder))
print("held", flush=True)
time.sleep(60)
"""


def test_a_kill_releases_every_lock(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    submitters = lock.open_submit_lock(tmp_path)
    try:
        with pytest.raises(InUse, match=f"pid {holder.pid} "):
            StateLock(tmp_path, "console")
        assert not lock.no_submitter_lives(submitters)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert lock.no_submitter_lives(submitters)
        mine = StateLock(tmp_path, "console")
        assert json.loads((tmp_path / "factory.lock").read_text())["pid"] == os.getpid()
        mine.release()
    finally:
        os.close(submitters)


def test_asking_whether_it_is_held_takes_nothing(tmp_path: Path) -> None:
    assert not lock.held(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_who_only_asks_for_the_holder_keeps_no_factory_from_starting(tmp_path: Path) -> None:
    asking = os.open(tmp_path / "factory.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(asking, fcntl.LOCK_EX)
    answered = threading.Timer(0.03, os.close, [asking])
    answered.start()
    StateLock(tmp_path, "console").release()
    answered.join()

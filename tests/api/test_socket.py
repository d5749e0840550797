"""The socket: who can connect is decided by mode, owner and the kernel's word on the peer."""

import grp
import json
import os
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.model.errors import ApftuiError
from core.state.lock import held
from tests.running import Site, local_settings

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may pass through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="apftui-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def ask_as(uid: int, groups: list[int], path: Path) -> str:
    """Ask for /v1/hello in a process of another user; return the HTTP status, or the error."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(uid, uid, uid)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(str(path))
                connection.sendall(b"GET /v1/hello HTTP/1.0\r\nHost: x\r\n\r\n")
                said = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError as error:
            said = type(error).__name__
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_its_owner_s_alone(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        site.state.mkdir(mode=0o700)
        factory = site.start()
        path = factory.socket
        assert path == site.state / "test-01.sock"
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert mode(path) == 0o600
        assert path.stat().st_uid == os.geteuid()
        assert mode(path.parent) == 0o700
        assert not list(path.parent.glob(".*"))
        assert factory.stop() == 0
        assert not path.exists()


@needs_root
def test_another_user_is_refused(open_folder: Path) -> None:
    with Site(open_folder / "site", local_settings("[queues.Q]")) as site:
        path = site.start().socket
        assert ask_as(NOBODY, [], path) == "PermissionError"
        # And should somebody open it up, the peer still is who it is.
        path.chmod(0o666)
        path.parent.chmod(0o755)
        answer = ask_as(NOBODY, [], path)
        assert answer.startswith("HTTP/1.0 403")
        assert json.loads(answer.partition("\n\n")[2]) == {
            "error": f"uid {NOBODY} may not control this factory",
            "diff": [],
        }
        assert "200 OK" in ask_as(0, [], path)


@needs_root
def test_members_of_the_socket_group_are_let_in(open_folder: Path) -> None:
    group = next(g for g in grp.getgrall() if g.gr_gid not in (0, NOBODY))
    settings = local_settings("[queues.Q]", factory=f'socket_group = "{group.gr_name}"')
    with Site(open_folder / "site", settings) as site:
        path = site.start().socket
        assert mode(path) == 0o660
        assert path.stat().st_gid == group.gr_gid
        assert (mode(path.parent), path.parent.stat().st_gid) == (0o710, group.gr_gid)
        assert "200 OK" in ask_as(NOBODY, [group.gr_gid], path)
        assert ask_as(NOBODY, [], path) == "PermissionError"
        # The folder is theirs to go through, what is in it is not.
        databases = list(site.state.glob("*.db*"))
        assert databases
        assert {mode(database) for database in databases} == {0o600}


def test_a_group_that_is_not_there_is_said_before_anything_runs(tmp_path: Path) -> None:
    settings = local_settings("[queues.Q]", factory='socket_group = "no-such-group"')
    with Site(tmp_path, settings) as site:
        factory = site.launch()
        assert factory.ended() == 1
        assert "there is no group 'no-such-group'; correct [factory] socket_group" in factory.said()


def test_a_path_that_no_socket_can_have_is_a_clear_error(tmp_path: Path) -> None:
    with Site(tmp_path / ("x" * 110), local_settings("[queues.Q]")) as site:
        factory = site.launch()
        assert factory.ended() == 1
        assert "more than the 107 that a Unix socket can have" in factory.said()
        assert "Traceback" not in factory.said()
        assert not (site.state / "state.db").exists()
        with pytest.raises(ApftuiError, match="107"):
            _ = factory.socket


def test_the_runtime_directory_comes_first(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    with Site(tmp_path / "site", local_settings("[queues.Q]")) as site:
        factory = site.start(env={"RUNTIME_DIRECTORY": str(runtime)})
        assert factory.socket == runtime / "test-01.sock"
        assert mode(factory.socket) == 0o600
        assert not (site.state / "test-01.sock").exists()


def test_the_socket_of_a_killed_factory_is_no_hindrance(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        first = site.start()
        first.kill()
        assert first.socket.exists()
        assert site.start().stop() == 0


def test_it_is_gone_before_another_factory_may_have_the_state_folder(tmp_path: Path) -> None:
    """Or the old one takes away the socket that the new one has just bound."""
    with Site(tmp_path, local_settings("[queues.Q]\n")) as site:
        factory = site.start()
        path = factory.socket
        assert path.exists()
        factory.signal(signal.SIGTERM)
        while held(site.state):
            pass
        assert not path.exists()
        assert factory.ended() == 0

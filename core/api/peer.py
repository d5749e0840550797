"""Who is at the other end of the control socket: the kernel's word, never the client's."""

import pwd
import socket
import struct
from pathlib import Path
from typing import NamedTuple

_UNSET = 0xFFFFFFFF


class Peer(NamedTuple):
    """The process that connected."""

    pid: int
    uid: int
    login_uid: int | None
    """Who logged in, if that is known: operators share accounts."""

    def __str__(self) -> str:
        account = _name(self.uid)
        if self.login_uid is None or self.login_uid == self.uid:
            return account
        return f"{_name(self.login_uid)} as {account}"


def peer_of(connection: socket.socket) -> Peer:
    """Return the peer of a connected Unix socket."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", raw)
    return Peer(pid, uid, _login_uid(pid))


def _login_uid(pid: int) -> int | None:
    try:
        uid = int(Path(f"/proc/{pid}/loginuid").read_text())
    except (OSError, ValueError):
        return None
    return None if uid == _UNSET else uid


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"

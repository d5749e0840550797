"""Where the control socket is, and how it is bound so that only those meant can connect."""

import grp
import hashlib
import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from core.model.errors import StateError
from core.settings.schema import FactoryTable

LONGEST = 107
"""Bytes that the kernel takes as a Unix socket's path: sun_path holds 108 with the final zero."""


SYSTEM = Path("/run/apftui")
"""`RuntimeDirectory=apftui` of a systemd unit."""


def socket_path(factory: FactoryTable, environ: Mapping[str, str]) -> Path:
    """Return the socket of a factory: $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR, or its state folder.

    Raise StateError if the path is too long for a Unix socket.
    """
    if runtime := environ.get("RUNTIME_DIRECTORY"):
        return _fitting(Path(runtime.split(":")[0]) / f"{factory.name}.sock")
    if (runtime := environ.get("XDG_RUNTIME_DIR")) and _ours(Path(runtime)):
        return _fitting(_shared(Path(runtime), factory))
    return _fitting(factory.state / f"{factory.name}.sock")


def find_socket(factory: FactoryTable, environ: Mapping[str, str]) -> Path:
    """Return where the factory listens; where it would if it ran as `environ` says if it does not.

    Whoever asks rarely has the environment that the factory was started in.
    """
    usual = socket_path(factory, environ)
    own = Path(f"/run/user/{os.getuid()}")
    name = f"{factory.name}.sock"
    places = [usual, factory.state / name, _shared(own, factory)]
    if factory.started_by == "systemd":
        places += [SYSTEM / name, own / "apftui" / name]
    return next((place for place in places if listens(place)), usual)


def _shared(runtime: Path, factory: FactoryTable) -> Path:
    """Return a name of its own in a folder that factories of one user share, also equal ones."""
    digest = hashlib.sha256(os.fsencode(factory.state)).hexdigest()[:8]
    return runtime / "apftui" / f"{factory.name}-{digest}.sock"


def _ours(runtime: Path) -> bool:
    # After `su` it is still the folder of the account before.
    try:
        return runtime.stat().st_uid == os.geteuid()
    except OSError:
        return False


def listens(path: Path) -> bool:
    """Tell whether a process listens on a socket, also one that this account may not use."""
    try:
        path.stat()
    except OSError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except PermissionError:
            return True  # whoever it is will be told so
        except OSError:
            return False
    return True


def _fitting(path: Path) -> Path:
    length = len(os.fsencode(path))
    if length > LONGEST:
        raise StateError(
            f"the control socket {path} would have a path of {length} bytes,"
            f" more than the {LONGEST} that a Unix socket can have",
            "set [factory] state to a shorter path",
        )
    return path


def bind(path: Path, group: str | None) -> socket.socket:
    """Bind the control socket: 0600, or 0660 for `group`; its folder is made if missing.

    The caller holds the state lock: whatever socket is there belongs to a dead factory.
    """
    gid = _gid(group)
    mode, folder_mode = (0o600, 0o700) if gid is None else (0o660, 0o710)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if gid is not None:
            os.chown(path.parent, -1, gid)
            path.parent.chmod(folder_mode)
        # Bound under another name and renamed: at no moment does a wider socket stand there.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as private:
            fresh = Path(private) / "s"
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(fresh))
            if gid is not None:
                os.chown(fresh, -1, gid)
            fresh.chmod(mode)
            listener.listen(128)
            fresh.rename(path)
    except OSError as error:
        raise StateError(
            f"cannot bind the control socket {path}: {error.strerror or error}",
            "check the folder's owner, or that you are a member of [factory] socket_group",
        ) from error
    return listener


def _gid(group: str | None) -> int | None:
    if group is None:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise StateError(
            f"there is no group {group!r}", "correct [factory] socket_group"
        ) from error

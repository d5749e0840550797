"""The state folder: private to its owner, on a local disk, with an identity of its own."""

import os
import uuid
from pathlib import Path

from core.model.errors import StateError

# flock and SQLite's WAL do not hold between hosts on these.
_REMOTE = {"nfs", "nfs4", "afs", "cifs", "smb3", "lustre", "beegfs", "ceph", "glusterfs", "9p"}


def prepare(folder: Path) -> None:
    """Make the state folder if it is not there; refuse one on a network file system."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"cannot make the state folder {folder}: {error.strerror}",
            "make it yourself, owned by the factory's user, or set [factory] state",
        ) from error
    refuse_remote(folder)


def refuse_remote(folder: Path) -> None:
    """Raise StateError if an existing folder is on a network file system."""
    kind = filesystem(folder)
    if is_remote(kind):
        raise StateError(
            f"the state folder {folder} is on {kind}, where locks do not hold",
            "set [factory] state to a folder on a local disk",
        )


def is_remote(kind: str) -> bool:
    """Tell whether locks may not hold between hosts on a type of file system."""
    return kind in _REMOTE or kind.startswith("fuse.")


def filesystem(folder: Path) -> str:
    """Return the type of the file system that `folder` is on, as the kernel names it."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == wanted:
            return source.split()[0]
    return "unknown"


def instance(folder: Path) -> str:
    """Return the id of this state folder, made at first use.

    It stands beside the databases, not in them: it must survive the loss of state.db, or the
    factory's own pilots would look like another's.
    """
    path = folder / "instance"
    if (known := read_instance(folder)) is not None:
        return known
    made = uuid.uuid4().hex
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        file.write(made + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    return made


def read_instance(folder: Path) -> str | None:
    """Return the id of a state folder, None if no factory ever used it."""
    path = folder / "instance"
    try:
        return uuid.UUID(path.read_text().strip()).hex
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StateError(
            f"{path} holds no uuid",
            "put the APFInstance of this factory's pilots into it, or delete it if it has none",
        ) from error
    except OSError as error:
        raise StateError(
            f"cannot read {path}: {error.strerror}", "ask as the factory's own account"
        ) from error

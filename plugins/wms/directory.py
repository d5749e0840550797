"""directory: payload jobs are executable files in a folder, claimed by moving them.

`<path>/<wms_queue>/new` holds what waits, `running` what a pilot has claimed (`<pilot>,<name>`),
`done` and `failed` what ended. Writers put a file into `new` under a dot name and rename it when
it is whole. The wrapper `directory` claims and runs them; a claimed payload is flocked by its
pilot, and by itself, for as long as one of them lives.
"""

import difflib
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, field_validator

from core.model.answers import WmsAnswer, WmsCount, WmsQuery
from core.model.errors import SourceError
from core.model.plugin import Params, Wms
from core.model.text import clean

NEW, RUNNING, DONE, FAILED = FOLDERS = ("new", "running", "done", "failed")
AGAIN = "again,"
"""Starts the name of a payload that has lost a pilot once."""
LONGEST = 180
"""Bytes of a payload's name: AGAIN and the pilot's id still fit before it (255 in all)."""


class DirectoryParams(Params):
    path: Path = Field(description="Folder with one folder per WMS queue; absolute.")

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        if not path.is_absolute():
            raise ValueError(f"{str(path)!r} is not absolute: start it with /")
        return path


class DirectoryWms(Wms[DirectoryParams]):
    """Counts files, and takes back what dead pilots had claimed."""

    params = DirectoryParams

    def poll(self, wanted: Sequence[WmsQuery]) -> WmsAnswer:
        known = sorted(_queues(self.settings.path))
        return WmsAnswer(counts=tuple(self._count(query, known) for query in wanted))

    def upkeep(self) -> list[str]:
        """Return payloads of dead pilots to `new` once, then to `failed`."""
        lines: list[str] = []
        for queue in sorted(_queues(self.settings.path)):
            folder = self.settings.path / queue
            if _problem_of(folder) is None:
                lines += _take_back(folder)
        return lines

    def _count(self, query: WmsQuery, known: Sequence[str]) -> WmsCount:
        problem = _problem_of_query(query, known, self.settings.path)
        folder = self.settings.path / query.queue if problem is None else None
        if folder is not None:
            problem = _problem_of(folder)
        if folder is None or problem is not None:
            return WmsCount(query=query, problem=problem)
        try:
            waiting = _look_through(folder / NEW)
            running = _look_through(folder / RUNNING)
        except OSError as error:
            return WmsCount(query=query, problem=_unreadable(error))
        return WmsCount(
            query=query,
            activated=waiting.jobs,
            running=running.jobs + running.not_executable,
            status="online",
            problem=waiting.complaint(folder / NEW),
        )


def create(path: Path, queue: str, group: str | None = None) -> Path:
    """Make the folders of one queue and return the queue's folder; what is there already stays.

    Mode 0770, or 2770 if `group` is to share it. By hand: `mkdir -m 770 path/queue` and then
    the same for new, running, done and failed in it.
    """
    path.mkdir(parents=True, exist_ok=True)
    folder = path / queue
    for each in (folder, *(folder / name for name in FOLDERS)):
        if each.is_dir():
            continue
        each.mkdir()
        if group is not None:
            shutil.chown(each, group=group)
        each.chmod(0o770 if group is None else 0o2770)
    return folder


class _Files(NamedTuple):
    jobs: int
    not_executable: int
    odd: tuple[str, ...]
    """Names of what cannot be claimed."""

    def complaint(self, folder: Path) -> str | None:
        if not self.odd:
            return None
        more = f" and {len(self.odd) - 1} more" if len(self.odd) > 1 else ""
        return (
            f"not counted in {folder}: {clean(self.odd[0], 80)}{more};"
            f" a payload is an executable file (chmod +x), its name at most {LONGEST} bytes"
        )


def _look_through(folder: Path) -> _Files:
    jobs, not_executable, odd = 0, 0, []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                mode = entry.stat(follow_symlinks=False).st_mode
            except FileNotFoundError:
                continue  # claimed meanwhile
            length = len(os.fsencode(entry.name.removeprefix(AGAIN)))
            if stat.S_ISREG(mode) and mode & 0o111 and length <= LONGEST:
                jobs += 1
            else:
                not_executable += stat.S_ISREG(mode)
                odd.append(entry.name)
    return _Files(jobs, not_executable, tuple(odd))


def _queues(path: Path) -> list[str]:
    """Return the names of all queues' folders."""
    try:
        open_to_all = _world_writable(path)
        if open_to_all is not None:
            raise SourceError(*open_to_all)
        with os.scandir(path) as entries:
            return [
                e.name
                for e in entries
                if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)
            ]
    except FileNotFoundError:
        raise SourceError(f"there is no folder {path}", _make(path / "QUEUE")) from None
    except OSError as error:
        raise SourceError(_unreadable(error)) from None


def _problem_of_query(query: WmsQuery, known: Sequence[str], path: Path) -> str | None:
    if query.resource_type is not None or query.labels:
        return "a directory has no resource types and no labels; take them out of the queue"
    name = clean(query.queue, 100)
    if not query.queue or query.queue.startswith(".") or {"/", "\0"} & set(query.queue):
        return f"{name!r} cannot be a folder; wms_queue is the name of one below {path}"
    if query.queue in known:
        return None
    close = difflib.get_close_matches(query.queue, known, 1)
    if close:
        return f"unknown queue {name}; did you mean {clean(close[0], 100)}?"
    return f"unknown queue {name}; {_make(path / name)}"


def _problem_of(folder: Path) -> str | None:
    """Say why the folder of a queue cannot be used, and the cure."""
    for each in (folder, *(folder / name for name in FOLDERS)):
        try:
            open_to_all = _world_writable(each)
        except (FileNotFoundError, NotADirectoryError):
            return f"there is no folder {clean(str(each))}; type mkdir -m 770 for it"
        except OSError as error:
            return _unreadable(error)
        if open_to_all is not None:
            return "; ".join(open_to_all)
    return None


def _world_writable(folder: Path) -> tuple[str, str] | None:
    mode = folder.lstat().st_mode
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError
    if not mode & stat.S_IWOTH:
        return None
    name = clean(str(folder))
    return (
        f"{name} is writable by everyone, who could have pilots run anything",
        f"chmod o-w {name}",
    )


def _make(folder: Path) -> str:
    tree = f"{folder}/{{{','.join(FOLDERS)}}}"
    return f"make it: mkdir -p -m 770 {folder} && mkdir -m 770 {tree}"


def _unreadable(error: OSError) -> str:
    return f"cannot read {clean(str(error.filename))}: {error.strerror}"


def _take_back(folder: Path) -> list[str]:
    lines = []
    try:
        claimed = sorted(each.name for each in (folder / RUNNING).iterdir())
    except OSError as error:
        return [_unreadable(error)]
    for name in claimed:
        try:
            with _pilot_gone(folder / RUNNING / name) as gone:
                if gone:
                    lines.append(_give_another_try(folder, name))
        except FileNotFoundError:
            continue  # it ended meanwhile
        except OSError as error:
            lines.append(f"cannot take back {clean(str(folder / RUNNING / name))}: {error}")
    return lines


def _give_another_try(folder: Path, claimed: str) -> str:
    pilot, comma, name = claimed.partition(",")
    if not comma:
        pilot, name = "", claimed
    target = folder / NEW / (AGAIN + name)
    # Names that a second payload of the same name has taken are not overwritten.
    if name.startswith(AGAIN) or os.path.lexists(target):
        target = folder / FAILED / claimed
    (folder / RUNNING / claimed).rename(target)
    what = f"payload {clean(name, 100)} of {clean(folder.name, 100)}"
    return f"{what}: pilot {clean(pilot, 100)} is gone, moved to {target.parent.name}/"


@contextmanager
def _pilot_gone(path: Path) -> Iterator[bool]:
    """Lock a claimed payload while its fate is decided; False if its pilot still has the lock."""
    # Neither a symbolic link nor a pipe or device that somebody left there is opened.
    if not stat.S_ISREG(path.lstat().st_mode):
        yield False
        return
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            gone = False
        else:
            # What we locked may have ended and been moved since we opened it.
            gone = os.path.samestat(os.fstat(fd), path.lstat())
        yield gone
    finally:
        os.close(fd)

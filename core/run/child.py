"""The worker process: `python -m core.run.child PARENT_PID`, frames on stdin and stdout.

It dies with its factory (PDEATHSIG), at the end of its stdin, and by a kernel timer when a call
takes too long, even inside a C library.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from core.model.errors import SourceError, SubmitRefused
from core.model.text import clean
from core.run import frames
from core.run.roles import ROLES

_PR_SET_PDEATHSIG = 1
# The factory kills at the deadline; the timer is for a factory that no longer can.
_GRACE_S = 2.0


def main() -> None:
    """Answer calls until the factory is gone."""
    _die_with(int(sys.argv[1]))
    requests, answers = _private_streams()
    role: object = None
    while (request := frames.read(requests)) is not None:
        limit = request["limit"] + _GRACE_S
        signal.setitimer(signal.ITIMER_REAL, limit)
        for answer in _answers(role, request):
            if "role" in answer:
                role = answer.pop("role")
            answers.write(frames.pack(answer))
            answers.flush()
            signal.setitimer(signal.ITIMER_REAL, limit)  # it is for each item
        signal.setitimer(signal.ITIMER_REAL, 0)


def _die_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was told
        os._exit(1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # ^C in the factory's terminal is the factory's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take the pipes away from whatever a library prints or reads."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    return requests, answers


def _answers(role: object, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    try:
        if request["call"] == "start":
            yield {"role": ROLES[request["role"]](**request["args"]), "ok": None}
            return
        result = getattr(role, request["call"])(**request["args"])
        if isinstance(result, Iterator):
            for item in result:
                yield {"item": item}
            result = None
        yield {"ok": result}
    except Exception as error:  # a plug-in may raise anything: the factory must hear of all of it
        yield _failure(error)


def _failure(error: Exception) -> dict[str, Any]:
    known = isinstance(error, SourceError | SubmitRefused)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    kind = type(error).__name__ if known else "other"
    return {"error": kind, "text": clean(text, 500)}


if __name__ == "__main__":
    main()

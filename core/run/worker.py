"""A worker process as the factory sees it: a call with a deadline, or a process that is dead.

When a call fails in any way but by an answer, the process has been killed *and reaped* before the
exception arrives: nothing that it had in hand can still happen behind the factory's back.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator
from typing import IO, Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from core.model.errors import ApftuiError, SourceError, SubmitRefused
from core.model.text import clean
from core.run import frames

_KNOWN = {"SourceError": SourceError, "SubmitRefused": SubmitRefused}

_DYING_S = 1.0


class CallFailed(ApftuiError):
    """The plug-in raised: the call ended, what it did is not known."""


class WorkerLost(ApftuiError):
    """The process is dead and reaped: it died, or was killed at its deadline."""

    def __init__(self, problem: str, *, deadline: bool) -> None:
        super().__init__(problem)
        self.deadline = deadline


class Worker:
    """One process with one role, started at the first call and again after it was lost."""

    def __init__(self, name: str, role: str, args: dict[str, Any]) -> None:
        """`name` is for messages; `args` are those of the role's class in `core.run.roles`."""
        self.name = name
        self._role = role
        self._args = args
        self._turn = anyio.Lock()
        self._process: Process | None = None
        self._answers: BufferedByteReceiveStream | None = None
        self._said: IO[bytes] | None = None

    async def call(self, call: str, deadline: float, **args: Any) -> Any:
        """Return what the role's method returns.

        Raise SourceError or SubmitRefused as the plug-in raised them, CallFailed for any other
        exception of it, WorkerLost if there was no answer within `deadline` seconds.
        """
        async with self._turn:
            answer = await self._ask(call, deadline, args)
        return _result(answer)

    async def stream(self, call: str, deadline: float, **args: Any) -> AsyncGenerator[Any, None]:
        """Yield what the role's generator yields; `deadline` is for each item.

        Whoever may stop early closes it (`contextlib.aclosing`): the process ends with it.
        """
        async with self._turn:
            answer = await self._ask(call, deadline, args)
            while "item" in answer:
                try:
                    yield answer["item"]
                except BaseException:
                    await self.close()  # or the next call would get the items left over
                    raise
                answer = await self._guarded(self._receive(), deadline, call)
        _result(answer)

    async def close(self) -> int | None:
        """Kill the process and wait until it is reaped; return its exit code, None if none ran."""
        process, self._process, self._answers = self._process, None, None
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        code = None
        with anyio.CancelScope(shield=True):
            code = await process.wait()
            await process.aclose()
        return code

    @property
    def pid(self) -> int | None:
        """Process id, None while none runs."""
        return self._process.pid if self._process else None

    async def _ask(self, call: str, deadline: float, args: dict[str, Any]) -> dict[str, Any]:
        return await self._guarded(self._exchange(call, deadline, args), deadline, call)

    async def _guarded(self, work: Any, deadline: float, call: str) -> dict[str, Any]:
        """Run `work`; whatever interrupts it, the process is dead before it is told."""
        try:
            with anyio.fail_after(deadline):
                answer: dict[str, Any] = await work
        except TimeoutError:
            await self.close()
            problem = f"{self.name}: no answer to {call} within {deadline:g} s"
            raise WorkerLost(problem, deadline=True) from None
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, OSError) as e:
            raise WorkerLost(await self._obituary(call, e), deadline=False) from e
        except ValueError as e:
            await self.close()
            problem = f"{self.name}: its answer to {call} cannot be read: {e}"
            raise WorkerLost(problem, deadline=False) from e
        except BaseException:
            await self.close()
            raise
        return answer

    async def _exchange(self, call: str, limit: float, args: dict[str, Any]) -> dict[str, Any]:
        if self._process is None:
            await self._start(limit)
        elif self._said is not None:
            # It writes through the same file description: what it said of earlier calls goes,
            # or a library that warns at every poll would fill the disk in a year.
            self._said.seek(0)
            self._said.truncate()
        await self._send({"call": call, "limit": limit, "args": args})
        return await self._receive()

    async def _start(self, limit: float) -> None:
        # Unbuffered: its position is the process's too.
        self._said = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives like the process)
        # Opened here, in the main thread: PDEATHSIG follows the thread that forks.
        self._process = await anyio.open_process(
            # -P: a folder `core` where the factory was started is not ours.
            [sys.executable, "-P", "-m", "core.run.child", str(os.getpid())],
            stderr=self._said,
        )
        assert self._process.stdout is not None
        self._answers = BufferedByteReceiveStream(self._process.stdout)
        await self._send({"call": "start", "limit": limit, "role": self._role, "args": self._args})
        answer = await self._receive()
        if "error" in answer:
            await self.close()
        _result(answer)

    async def _send(self, message: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        await self._process.stdin.send(frames.pack(message))

    async def _receive(self) -> dict[str, Any]:
        assert self._answers is not None
        header = await self._answers.receive_exactly(frames.HEADER)
        body = await self._answers.receive_exactly(frames.length(header))
        answer: dict[str, Any] = json.loads(body)
        return answer

    async def _obituary(self, call: str, error: Exception) -> str:
        if self._process is None:
            return f"{self.name}: cannot start its process: {error}"
        try:
            # It closed its pipe: how it ends by itself says more than that we killed it.
            with anyio.move_on_after(_DYING_S):
                await self._process.wait()
        finally:
            code = await self.close()
        return f"{self.name}: its process ended during {call} ({_ended(code)}){self._last_words()}"

    def _last_words(self) -> str:
        """Return the end of what the process wrote on stderr, for the error message."""
        if self._said is None:
            return ""
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - 300))
        text = self._said.read().decode(errors="replace").strip()
        return f": {clean(text)}" if text else ""


def _result(answer: dict[str, Any]) -> Any:
    if "error" in answer:
        raise _KNOWN.get(answer["error"], CallFailed)(clean(answer["text"]))
    return answer["ok"]


def _ended(code: int | None) -> str:
    if code is None:
        return "it was gone"
    return f"signal {-code}" if code < 0 else f"exit code {code}"

"""A real factory in a process of its own: started, asked, fed, signalled, killed, and ended.

    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        site.payload("Q")
        factory = site.start()
        factory.until(lambda status: status.queues[0].running == 1)
        assert factory.stop() == 0

Everything is blocking; `factory.client()` is for tests that run in an event loop of their own.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel

from core.api.client import Client
from core.api.models import Change, ChangeRequest, Hello, Intent, QueueStatus, Status
from core.api.socket import socket_path
from core.model.errors import ApftuiError
from core.settings.load import read_factory, read_layers
from plugins.local import pilots, removal
from plugins.wms import directory

REPOSITORY = Path(__file__).parents[1]
BACKGROUND = (sys.executable, "-m", "core.api.serve", "--config")
FOREGROUND = (sys.executable, "-m", "apftui", "--no-ui", "--config")

M = TypeVar("M", bound=BaseModel)

_LOCAL = """
[factory]
name = "test-01"
state = "state"
cycle = 0.2
{factory}

[wms.jobs]
plugin = "directory"
path = "payloads"
period = 0.2

[batch.here]
plugin = "local"
path = "pilots"
period = 0.2
{batch}

[defaults]
wms = "jobs"
batch = "here"
wrapper = "directory"
chain = ["ready", "max-pending"]
{defaults}
[defaults.sched.max-pending]
maximum = 100

{queues}
"""


def local_settings(
    queues: str, *, factory: str = "", batch: str = "slots = 4", defaults: str = ""
) -> str:
    """Return settings with WMS `jobs` (directory) and batch `here` (local), in short periods.

    The arguments are TOML lines for the end of the tables `[factory]`, `[batch.here]` and
    `[defaults]`; `queues` is whole tables.
    """
    return _LOCAL.format(queues=queues, factory=factory, batch=batch, defaults=defaults)


def sleepers(queue: str, n: int, seconds: int = 600) -> str:
    """Return the table of a queue that submits n pilots in each pass that may; each sleeps.

    Its chain caps itself: with `max-to-run` n it keeps n pilots alive, and needs no WMS.
    """
    return f"""
[queues.{queue}]
wrapper = "generic"
chain = ["fixed", "max-to-run"]
[queues.{queue}.wrapper_parameters]
command = ["sleep", "{seconds}"]
[queues.{queue}.sched.fixed]
pilots_per_cycle = {n}
[queues.{queue}.sched.max-to-run]
maximum = {n}
"""


class Site:
    """A folder with settings, and what `local` and `directory` keep in it.

    On exit every factory that it started is killed, and every local pilot ended.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.config = folder / "factory.toml"
        self.state = folder / "state"
        self.pilots = folder / "pilots"
        self.payloads = folder / "payloads"
        self.factories: list[Running] = []
        folder.mkdir(parents=True, exist_ok=True)
        self.payloads.mkdir(exist_ok=True)
        self.write(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for factory in self.factories:
            factory.kill()
        with contextlib.suppress(ApftuiError):
            for submission in pilots.live(self.pilots):
                with contextlib.suppress(ApftuiError):
                    removal.remove(submission.pilots())

    def write(self, text: str) -> None:
        """Write the settings, and make the payload folders of all queues in them."""
        self.config.write_text(text)
        with contextlib.suppress(ApftuiError):  # a test may write bad ones
            settings = read_layers(self.config).base
            for queue in settings.queues.values():
                if queue.wms and settings.wms[queue.wms].plugin == "directory":
                    directory.create(self.payloads, queue.query.queue)

    def payload(self, queue: str, name: str = "job", script: str = "exit 0") -> Path:
        """Put a payload job into the folder of a queue."""
        folder = directory.create(self.payloads, queue) / directory.NEW
        draft = folder / f".{name}"
        draft.write_text(f"#!/bin/sh\n{script}\n")
        draft.chmod(0o755)
        return draft.rename(folder / name)

    def start(
        self,
        command: Sequence[str] = BACKGROUND,
        *args: str,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        seconds: float = 20.0,
    ) -> "Running":
        """Start a factory, and return it when its socket answers.

        `env` is added to the test's own. Fail with what it wrote if it ends before.
        """
        factory = self.launch(command, *args, env=env, prefix=prefix)
        factory.wait_ready(seconds)
        return factory

    def launch(
        self,
        command: Sequence[str] = BACKGROUND,
        *args: str,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> "Running":
        """Start a factory process and do not wait for it."""
        factory = Running(
            [*prefix, *command, str(self.config), *args], self, {**os.environ, **(env or {})}
        )
        self.factories.append(factory)
        return factory


class Running:
    """One factory process."""

    def __init__(self, command: Sequence[str], site: Site, env: Mapping[str, str]) -> None:
        self.site = site
        self._env = env
        self._socket: Path | None = None
        self._said = site.folder / f"said-{len(site.factories)}"
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                command, cwd=REPOSITORY, env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    # -- life --------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def socket(self) -> Path:
        """Where its API listens, by the settings and environment that it was started with."""
        if self._socket is None:
            self._socket = socket_path(read_factory(self.site.config), self._env)
        return self._socket

    def said(self) -> str:
        """Return what it wrote on stdout and stderr."""
        return self._said.read_text(errors="replace")

    def log(self) -> str:
        """Return the log of a background factory."""
        path = self.site.state / "factory.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_ready(self, seconds: float = 20.0) -> None:
        """Wait until the socket answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            code = self.process.poll()
            if code is not None:
                raise AssertionError(f"the factory ended with {code}: {self.said()}{self.log()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/v1/hello", Hello).pid == self.pid:
                    return
            time.sleep(0.02)
        raise AssertionError(f"no answer in {seconds} s: {self.said()}{self.log()}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, for example SIGHUP."""
        self.process.send_signal(number)

    def stop(self, seconds: float = 20.0) -> int:
        """End it with SIGTERM and return its exit code."""
        self.process.terminate()
        return self.ended(seconds)

    def ended(self, seconds: float = 20.0) -> int:
        """Wait until it has ended by itself and return its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"the factory still runs after {seconds} s: {self.said()}{self.log()}"
            ) from None

    def kill(self) -> None:
        """SIGKILL it, and wait until it is reaped."""
        self.process.kill()
        self.process.wait()

    def children(self) -> dict[int, str]:
        """Return its worker processes: pid → the state letter of /proc/PID/stat."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        states = {}
        for pid in map(int, listed):
            with contextlib.suppress(OSError):
                states[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return states

    # -- the API -----------------------------------------------------------------------------

    def call(
        self, method: str, path: str, body: object = None, *, deadline: float = 10.0
    ) -> tuple[int, Any]:
        """Return HTTP status and the decoded answer; `body` is JSON data, or bytes as they are."""
        connection = _UnixConnection(self.socket, deadline)
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, sent)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(content)
        except ValueError:
            return answer.status, content.decode(errors="replace")

    def get(self, path: str, model: type[M], **query: object) -> M:
        """Read `path` as a model; fail if it is refused."""
        code, answer = self.call("GET", f"{path}?{urlencode(query)}" if query else path)
        assert code == 200, answer
        return model.model_validate_json(json.dumps(answer))

    def post(self, path: str, body: BaseModel | None, model: type[M]) -> M:
        """Ask for a change; fail if it is refused."""
        data = None if body is None else body.model_dump(mode="json")
        code, answer = self.call("POST", path, data)
        assert code == 200, answer
        return model.model_validate_json(json.dumps(answer))

    def client(self, deadline: float = 10.0) -> Client:
        """Return the typed client, for an event loop of the test's own."""
        return Client(self.socket, deadline)

    def status(self) -> Status:
        """Return the whole status."""
        return self.get("/v1/status", Status)

    def queue(self, name: str) -> QueueStatus:
        """Return the row of one queue; fail if there is none."""
        return next(q for q in self.status().queues if q.name == name)

    def intents(self) -> list[Intent]:
        """Return all submissions, newest first."""
        code, answer = self.call("GET", "/v1/intents?limit=10000")
        assert code == 200, answer
        return [Intent.model_validate_json(json.dumps(one)) for one in answer]

    def settled(self, seconds: float = 15.0) -> list[Intent]:
        """Wait until every submission has its outcome, and return all of them, newest first."""
        end = time.monotonic() + seconds
        while True:
            found = self.intents()
            if all(i.state != "intent" for i in found):
                return found
            assert time.monotonic() < end, f"not settled in {seconds} s: {found!r}"
            time.sleep(0.05)

    def change(self, queue: str, key: str, value: object, **more: Any) -> tuple[int, Any]:
        """Ask for one change of one queue; `more` are `why`, `until` and `revision`."""
        revision = more.pop("revision", None)
        one = Change(queue=queue, key=key, value=value, revision=revision)
        return self.call(
            "POST", "/v1/changes", ChangeRequest(changes=(one,), **more).model_dump(mode="json")
        )

    def quiet(self, seconds: float = 30.0) -> None:
        """Pause all queues, and wait until none has a pilot."""
        for queue in self.status().queues:
            assert self.change(queue.name, "paused", True)[0] == 200
        self.settled()
        cycle = self.status().factory.cycle + 3
        self.until(
            lambda s: (
                s.factory.cycle >= cycle
                and all(q.pending == q.running == q.batch.in_flight == 0 for q in s.queues)
            ),
            seconds,
        )

    def until(self, true: Callable[[Status], bool], seconds: float = 15.0) -> Status:
        """Wait until the status is so, and return it; fail with the last one."""
        end = time.monotonic() + seconds
        while True:
            status = self.status()
            if true(status):
                return status
            if time.monotonic() > end:
                raise AssertionError(f"not so in {seconds} s: {status!r}\n{self.log()[-3000:]}")
            time.sleep(0.05)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, deadline: float) -> None:
        super().__init__("factory", timeout=deadline)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

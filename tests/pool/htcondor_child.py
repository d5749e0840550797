"""HTCondor's plug-ins in a process of their own, as the factory's workers are.

The bindings keep the GIL while they wait for a schedd, and one process has one identity: a test
that called them itself would stop with a stopped schedd.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from core.model.answers import BatchAnswer, OutcomeAnswer
from core.model.submission import Found, PilotJob, Submitted

ROOT = Path(__file__).parents[2]


class CallError(Exception):
    """The plug-in raised; `kind` is the name of the exception's class."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Child:
    """One plug-in object in one process. Use it in a `with`."""

    def __init__(
        self, kind: str, table: Mapping[str, Any], environ: Mapping[str, str] | None = None
    ) -> None:
        """`kind` is batch, submit or outcomes, `table` is `[batch.X]`."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, kind, json.dumps(table)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=None if environ is None else dict(environ),
        )

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """SIGKILL; returns when the process is reaped."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    def start(self, method: str, *args: Any, limit: float = 60) -> None:
        """Send a call. A kernel timer ends the process after `limit` seconds."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps([method, limit, args]) + "\n")
        self.process.stdin.flush()

    def result(self) -> Any:
        """Return the answer of the last call; raise CallError, or EOFError if it has died."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise EOFError(f"the process ended: {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise CallError(answer["error"], answer["text"])
        return answer["ok"]

    def call(self, method: str, *args: Any, limit: float = 60) -> Any:
        self.start(method, *args, limit=limit)
        return self.result()

    def poll(self, factory: str, instance: str = "here") -> BatchAnswer:
        return BatchAnswer.model_validate(self.call("poll", factory, instance))

    def outcomes(self, factory: str, instance: str = "here") -> OutcomeAnswer:
        return OutcomeAnswer.model_validate(self.call("poll", factory, instance))

    def describe(self, job: PilotJob, **params: Any) -> str:
        return str(self.call("describe", job.model_dump(mode="json"), params))

    def submit(self, schedd: str, description: str, n: int) -> Submitted:
        return Submitted.model_validate(self.call("submit", schedd, description, n))

    def look(self, schedd: str, submission: str, since: float = 0) -> list[Found]:
        found = self.call("look", schedd, submission, since)
        return [Found.model_validate(each) for each in found]

    def sweep(self, schedd: str, factory: str, instance: str = "here") -> list[Found]:
        found = self.call("sweep", schedd, factory, instance)
        return [Found.model_validate(each) for each in found]

    def remove(self, schedd: str, found: Found) -> None:
        self.call("remove", schedd, found.model_dump(mode="json"))


class _Plugin:
    """What runs in the child: JSON in, JSON out."""

    def __init__(self, kind: str, table: Mapping[str, Any]) -> None:
        from core.run.roles import OutcomesRole
        from plugins.batch.htcondor import HtcondorBatch
        from plugins.condor.params import HtcondorParams
        from plugins.submit.htcondor import HtcondorSubmit

        params = HtcondorParams.model_validate(table)
        self._plugin: Any
        if kind == "outcomes":  # its role counts what the plug-in tells
            self._plugin = OutcomesRole("htcondor", table)
        else:
            self._plugin = {"batch": HtcondorBatch, "submit": HtcondorSubmit}[kind](params)

    def describe(self, job: Any, params: Any) -> Any:
        validated = self._plugin.params.model_validate(params)
        return self._plugin.describe(PilotJob.model_validate(job), validated)

    def remove(self, schedd: str, found: Any) -> Any:
        return self._plugin.remove(schedd, Found.model_validate(found))

    def options_of_poll(self, *args: Any) -> Any:
        """Poll, and return the options of each query that a schedd was sent."""
        import htcondor2

        options = []
        query = htcondor2.Schedd.query

        def noted(*args: Any, **named: Any) -> Any:
            options.append(int(named.get("opts", 0)))
            return query(*args, **named)

        htcondor2.Schedd.query = noted
        self._plugin.poll(*args)
        return options

    def records_of_poll(self, *args: Any) -> Any:
        """Poll, and return how many records each reading of a history brought."""
        import htcondor2

        records = []
        history = htcondor2.Schedd.history

        def noted(*args: Any) -> Any:
            ads = history(*args)
            records.append(len(ads))
            return ads

        htcondor2.Schedd.history = noted
        try:
            self._plugin.poll(*args)
        finally:
            htcondor2.Schedd.history = history
        return records

    def call(self, method: str, args: Any) -> Any:
        own = getattr(self, method, None)
        result = own(*args) if own else getattr(self._plugin, method)(*args)
        if isinstance(result, tuple):
            return [each.model_dump(mode="json") for each in result]
        return result.model_dump(mode="json") if hasattr(result, "model_dump") else result


def main() -> None:
    plugin = _Plugin(sys.argv[1], json.loads(sys.argv[2]))
    for line in sys.stdin:
        method, limit, args = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            answer = {"ok": plugin.call(method, args)}
        except Exception as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

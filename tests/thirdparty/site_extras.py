"""Plug-ins of a site: two that do their work, and two that do all that a plug-in must not."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt

from core.model.answers import WmsAnswer, WmsCount, WmsQuery
from core.model.decision import Step
from core.model.errors import SourceError
from core.model.facts import Fact, Facts
from core.model.plugin import Params, Role, Sched, Wms


class WholeNodesParams(Params):
    pilots_per_node: PositiveInt = Field(
        description="Pilots that fill one node.", json_schema_extra={"unit": "pilots"}
    )


class WholeNodes(Sched[WholeNodesParams]):
    """The number, rounded down to whole nodes."""

    params = WholeNodesParams
    role = Role.SHAPE

    def step(self, n: int, facts: Facts, params: WholeNodesParams) -> Step:
        nodes = n // params.pilots_per_node
        return Step(
            out=nodes * params.pilots_per_node,
            reason=f"{nodes} whole nodes of {params.pilots_per_node}",
        )


class AtMostInAllParams(Params):
    maximum: PositiveInt = Field(
        description="Most pilots of the whole factory.", json_schema_extra={"unit": "pilots"}
    )


class AtMostInAll(Sched[AtMostInAllParams]):
    """min(n, maximum - all pilots of the factory)."""

    params = AtMostInAllParams
    role = Role.CAP
    needs = frozenset({Fact.TOTALS})

    def step(self, n: int, facts: Facts, params: AtMostInAllParams) -> Step:
        there = facts.totals.pilots or 0
        reason = f"at most {params.maximum} in all, there are {there}"
        return Step(out=min(n, params.maximum - there), reason=reason)


class TallyParams(Params):
    path: Path = Field(description="JSON file: {queue: activated payloads, or [that, status]}.")


class Tally(Wms[TallyParams]):
    """Reads the numbers from a file."""

    params = TallyParams

    def poll(self, wanted: Sequence[WmsQuery]) -> WmsAnswer:
        try:
            tally = json.loads(self.settings.path.read_text())
        except OSError as error:
            raise SourceError(f"cannot read {self.settings.path}: {error.strerror}") from error
        return WmsAnswer(counts=tuple(_count(w, tally.get(w.queue)) for w in wanted))


def _count(query: WmsQuery, told: Any) -> WmsCount:
    activated, status = told if isinstance(told, list) else (told, None)
    return WmsCount(query=query, activated=activated, status=status)


class UnrulySchedParams(Params):
    does: Literal["hang", "exit", "raise", "nan", "none", "leave", "fits"] = "fits"
    at: int = Field(default=0, description="Only at so many activated payloads.")
    seconds: float = 0.0


class UnrulySched(Sched[UnrulySchedParams]):
    """Does what `does` says, but 5 pilots for everybody else."""

    params = UnrulySchedParams
    role = Role.SOURCE
    needs = frozenset({Fact.WMS})

    def step(self, n: int, facts: Facts, params: UnrulySchedParams) -> Any:
        time.sleep(params.seconds)
        out: Any = 5
        if params.does != "fits" and facts.wms.activated == params.at:
            out = _misbehave(params.does)
        return None if out is None else Step(out=out, reason="five")


def _misbehave(does: str) -> Any:
    match does:
        case "hang":
            time.sleep(3600)
        case "exit":
            print("going down", flush=True)
            os._exit(3)
        case "leave":
            sys.exit("bye")
        case "raise":
            raise ValueError("no\x1b[2J\u202e step\nhere")
        case "nan":
            return float("nan")
    return None


class UnrulyWmsParams(Params):
    does: Literal["sleep", "compute", "talk", "huge", "too-huge", "raise", "refuse", "idle", "exit"]
    upkeep: Literal["fine", "none", "paths", "too-huge"] = "fine"


class UnrulyWms(Wms[UnrulyWmsParams]):
    """Does what `does` says."""

    params = UnrulyWmsParams

    def poll(self, wanted: Sequence[WmsQuery]) -> WmsAnswer:
        match self.settings.does:
            case "sleep":
                time.sleep(3600)
            case "compute":
                sum(range(10**14))  # one call of C that keeps the GIL
            case "talk":
                _talk()
            case "huge":
                return _one("x" * 20_000_000)
            case "too-huge":
                return _one("x" * 65 * 1024 * 1024)
            case "raise":
                raise RuntimeError("\x1b]52;c;aGk=\x07 [/x] \u202e\nno")
            case "refuse":
                raise SourceError("down\x1b[2J for repairs", "wait\nhere")
            case "exit":
                sys.stderr.write("\x1b[31mlibfoo: abort\x1b[0m\n")
                sys.stderr.flush()
                os._exit(7)
        return _one("done")

    def upkeep(self) -> Any:
        match self.settings.upkeep:
            case "none":
                return None
            case "paths":
                return [Path("/tmp/tidied\x1b[2J")]
            case "too-huge":
                return ["x" * 65 * 1024 * 1024]
        return []


def _one(queue: str) -> WmsAnswer:
    return WmsAnswer(counts=(WmsCount(query=WmsQuery(queue=queue), activated=1),))


def _talk() -> None:
    """Use stdin and stdout in every way that a library may."""
    print("\x00\x00\x00\x05hello", flush=True)
    sys.stdout.write("no newline")
    os.write(1, b"\x00\x00\x00\x02{}")
    subprocess.run(["sh", "-c", "echo from a child; cat"], check=True, timeout=10)
    assert sys.stdin.read() == ""

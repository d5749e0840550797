"""A kill between any two writes of a change: afterwards ledger, file and settings agree."""

import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from core.api.models import Action
from core.run.changes import Changes
from core.run.writer import Writer
from core.settings.overrides import FILE, NO_OVERRIDES, override, set_, write
from core.state.ledger import Ledger, LedgerReader
from tests.running import REPOSITORY, Running, Site, local_settings

SETTINGS = local_settings("[queues.Q]\n[queues.R]\n")


def crash(site: Site, step: str) -> int:
    """Change Q to paused in a process that kills itself at `step`; return its exit code.

    Real files, a real ledger, a real kill: only the call at which it happens is wrapped.
    """
    script = f"""
import os, signal, sys
from pathlib import Path
import anyio
from core.run.changes import Changes, Wanted
from core.run.writer import Writer
from core.settings import overrides
from core.settings.load import read_layers, resolve
from core.state.ledger import Ledger

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def then(first, second):
    def both(*args):
        first(*args)
        second(*args)
    return both

step = {step!r}
layers = read_layers(Path(sys.argv[1]))
folder = layers.base.factory.state
ledger = Ledger(folder)
changes = Changes(folder, ledger, Writer())
proposal = changes.propose(
    layers, resolve(layers, changes.overrides), [Wanted("Q", "paused", True, None)],
    by="ann", why="", until=None,
)
if step == "before asked":
    ledger.ask = die
elif step == "asked":
    ledger.ask = then(ledger.ask, die)
elif step == "file half written":
    os.fsync = die
elif step == "file not renamed":
    Path.rename = die
elif step == "file":
    overrides.write = then(overrides.write, die)
elif step == "applied":
    ledger.settle_action = then(ledger.settle_action, die)
anyio.run(changes.apply, proposal)
"""
    return subprocess.run(
        [sys.executable, "-c", script, str(site.config)], cwd=REPOSITORY, check=False
    ).returncode


def actions(factory: Running) -> list[Action]:
    code, answer = factory.call("GET", "/v1/actions")
    assert code == 200
    return [Action.model_validate(a) for a in answer]


@pytest.mark.parametrize(
    ("step", "state"),
    [
        ("before asked", None),
        ("asked", "failed"),
        ("file half written", "failed"),
        ("file not renamed", "failed"),
        ("file", "applied"),
        ("applied", "applied"),
    ],
)
def test_a_kill_between_two_writes_leaves_nothing_half(
    tmp_path: Path, step: str, state: str | None
) -> None:
    with Site(tmp_path, SETTINGS) as site:
        site.state.mkdir()
        assert crash(site, step) == -signal.SIGKILL
        factory = site.start()
        found = actions(factory)
        assert [a.state for a in found] == ([] if state is None else [state])
        file = site.state / "overrides.toml"
        entries = tomllib.loads(file.read_text())["entries"] if file.exists() else []
        assert [e["action"] for e in entries] == [a.id for a in found if a.state == "applied"]
        is_paused = factory.queue("Q").state == "paused"
        assert is_paused is (state == "applied")
        # It can be made, and taken back, as if nothing had been.
        code, done = factory.change("Q", "paused", True, why="again")
        assert code == 200
        assert factory.call("POST", "/v1/undo", {"action": done["id"]})[0] == 200
        assert (factory.queue("Q").state == "paused") is is_paused


def test_a_pause_that_ran_out_while_the_factory_was_down(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        first = site.start()
        until = time.time() + 1.5
        assert first.change("Q", "paused", True, until=until, why="downtime")[0] == 200
        assert first.change("R", "paused", True, until=until + 3600)[0] == 200
        first.kill()
        time.sleep(max(0.0, until - time.time()))
        second = site.start()
        second.until(lambda s: s.queues[0].state == "ok", 5)
        newest = actions(second)[0]
        assert (newest.by, newest.what, newest.state) == (
            "expiry",
            "Q: paused expired",
            "applied",
        )
        assert second.queue("R").state == "paused"
        entries = tomllib.loads((site.state / "overrides.toml").read_text())["entries"]
        assert [e["queue"] for e in entries] == ["R"]


def test_a_file_that_cannot_be_read_keeps_the_factory_down(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        first = site.start()
        first.change("Q", "paused", True)
        assert first.stop() == 0
        file = site.state / "overrides.toml"
        whole = file.read_text()
        file.write_text(whole[: len(whole) // 2])
        refused = site.launch()
        assert refused.ended() == 1
        assert "overrides.toml" in refused.said()
        assert "without it paused queues would start again" in refused.said()
        file.write_text(whole)
        assert site.start().queue("Q").state == "paused"


def test_the_alarm_of_an_expiry_that_could_not_be_written_ends_with_the_override(
    tmp_path: Path,
) -> None:
    text = local_settings("[queues.Q]\n").replace("cycle = 0.2", "cycle = 2")
    with Site(tmp_path, text) as site:
        factory = site.start()
        assert factory.change("Q", "paused", True, until=time.time() + 0.5)[0] == 200
        hindrance = site.state / ".overrides.toml.new"
        hindrance.mkdir()
        failed = factory.until(lambda s: s.factory.alarms != ()).factory
        assert "an override could not be ended: " in failed.alarms[0]
        factory.until(lambda s: s.factory.cycle > failed.cycle)
        hindrance.rmdir()
        assert factory.change("Q", "paused", None)[0] == 200
        factory.until(lambda s: s.factory.alarms == () and s.queues[0].state == "ok")


def test_a_change_that_stands_was_applied_though_others_came_after_it(tmp_path: Path) -> None:
    """The disk took its override, and was full when the ledger was to say so."""
    ledger = Ledger(tmp_path)
    entry = override("Q", "paused", True, action="first", by="me", at=1.0)
    other = override("R", "paused", True, action="second", by="me", at=2.0)
    write(tmp_path / FILE, set_(set_(NO_OVERRIDES, entry), other))
    for name in ("first", "second", "third"):
        ledger.ask(
            {"id": name, "at": 1.0, "by": "me", "what": "", "why": "", "until": None}
            | {"undoes": None, "before": []}
        )
    reader = LedgerReader.open(tmp_path)
    Changes(tmp_path, ledger, Writer()).reconcile(reader, ())
    states = {action["id"]: action["state"] for action in reader.actions(10)}
    assert states == {"first": "applied", "second": "applied", "third": "failed"}
    reader.close()
    ledger.close()

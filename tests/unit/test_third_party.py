"""A package that adds a sched and a WMS plug-in: pip-installed, and a factory runs with both."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.model.decision import Decision
from core.model.submission import IntentState
from core.state.history import recent
from core.state.ledger import LedgerReader

# A first pass of a real factory, in a process that finds the package installed.
RUN = """
import functools, pathlib, sys
import anyio
from core.api.serve import run_factory
from core.settings.load import read_layers

layers = read_layers(pathlib.Path(sys.argv[1]))
anyio.run(functools.partial(run_factory, layers, "test", cycles=1))
"""

SETTINGS = """
[factory]
name = "third"
state = "{folder}/state"
cycle = "1s"

[wms.counts]
plugin = "tally"
path = "{folder}/tally.json"

[batch.here]
plugin = "local"
path = "{folder}/pilots"
slots = 8

[defaults]
wms = "counts"
batch = "here"
chain = ["ready", "whole-nodes", "max-pending"]
wrapper_parameters = {{ command = ["sh", "-c", "touch {folder}/ran/$APF_PILOT"] }}
[defaults.sched.whole-nodes]
pilots_per_node = 4
[defaults.sched.max-pending]
maximum = 100

[queues.ALMA]
[queues.NOBODY]
"""


def run(config: Path, installed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, config],
        env={**os.environ, "PYTHONPATH": installed},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "ran").mkdir()
    (tmp_path / "tally.json").write_text(json.dumps({"ALMA": 10}))
    path = tmp_path / "factory.toml"
    path.write_text(SETTINGS.format(folder=tmp_path))
    return path


def decision(folder: Path, queue: str) -> Decision:
    (record,) = recent(folder / "state", queue, 10)
    return Decision.model_validate(record.decision)


def test_pip_installs_two_files(installed_extras: Path) -> None:
    package = Path(__file__).parents[1] / "thirdparty"
    files = {p.name for p in package.iterdir() if p.name != "__pycache__"}
    assert files == {"pyproject.toml", "site_extras.py"}
    (found,) = importlib.metadata.distributions(path=[str(installed_extras)])
    assert found.name == "apftui-site-extras"
    assert {e.group for e in found.entry_points} == {"apftui.sched", "apftui.wms"}


def test_a_pass_runs_with_both(config: Path, installed_extras: Path) -> None:
    done = run(config, str(installed_extras))
    assert done.returncode == 0, done.stderr
    folder = config.parent
    alma = decision(folder, "ALMA")
    assert alma.submit == 8
    assert alma.bound_by == "whole-nodes"
    assert [(s.plugin, s.in_, s.out, s.reason) for s in alma.steps] == [
        ("ready", 0, 10, "10 activated - 0 pending"),
        ("whole-nodes", 10, 8, "2 whole nodes of 4"),
        ("max-pending", 8, 8, "at most 100 pending, 0 are: room for 100"),
    ]
    # The third party's WMS does not know it: unknown is not 0, and nothing is submitted.
    nobody = decision(folder, "NOBODY")
    assert nobody.blind
    assert nobody.blind_because == "activated is unknown: the WMS did not say"
    ledger = LedgerReader.open(folder / "state")
    try:
        (intent,) = ledger.recent(0)
    finally:
        ledger.close()
    assert (intent.queue, intent.n, intent.state) == ("ALMA", 8, IntentState.CONFIRMED)
    assert len(list((folder / "ran").iterdir())) == 8


def test_without_the_package_the_settings_say_what_is_missing(config: Path) -> None:
    done = run(config, "")
    assert done.returncode != 0
    assert "no wms plug-in 'tally' is installed" in done.stderr
    assert "no sched plug-in 'whole-nodes' is installed" in done.stderr
    assert not (config.parent / "state").exists()


def test_its_parameters_are_checked_like_the_houses_own(
    config: Path, installed_extras: Path
) -> None:
    config.write_text(config.read_text().replace("pilots_per_node = 4", "pilots_per_nod = 4"))
    done = run(config, str(installed_extras))
    assert done.returncode != 0
    assert "did you mean pilots_per_node?" in done.stderr

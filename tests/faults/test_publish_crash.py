"""A kill between any two writes of a publication: afterwards ledger, disk and queues agree."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.api.models import Action
from tests.running import REPOSITORY, Running, Site, local_settings

SETTINGS = local_settings("[queues.Q]\n")


def crash(site: Site, step: str) -> int:
    """Publish in a process that kills itself at `step`; return its exit code.

    Real files, a real ledger, a real kill: only the call at which it happens is wrapped.
    """
    script = f"""
import os, signal, sys
from pathlib import Path
import anyio
from core.run.changes import Changes
from core.run.drafts import Draft
from core.run.publishing import prepare
from core.run.writer import Writer
from core.settings.load import read_layers
from core.state.ledger import Ledger

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def then(first, second):
    def both(*args):
        first(*args)
        second(*args)
    return both

step = {step!r}
settings = read_layers(Path(sys.argv[1])).base
ledger = Ledger(settings.factory.state)
changes = Changes(settings.factory.state, ledger, Writer())

async def publish():
    draft = Draft(name="directory", manifest=None, template=sys.argv[2])
    ready = await prepare(settings, draft, base="shipped", message="m", by="ann")
    write = ready.write
    if step == "before asked":
        ledger.ask = die
    elif step == "asked":
        ledger.ask = then(ledger.ask, die)
    elif step == "files half written":
        os.fsync = die
    elif step == "not renamed":
        Path.rename = die
    elif step == "renamed":
        Path.rename = then(Path.rename, die)
    elif step == "written":
        write = then(write, die)
    elif step == "applied":
        ledger.settle_action = then(ledger.settle_action, die)
    await changes.put(ready.action, write)

anyio.run(publish)
"""
    return subprocess.run(
        [sys.executable, "-c", script, str(site.config), template(site)],
        cwd=REPOSITORY,
        check=False,
    ).returncode


def template(site: Site) -> str:
    return (REPOSITORY / "wrappers/directory/wrapper.sh").read_text() + "# a crash's\n"


def actions(factory: Running) -> list[Action]:
    code, answer = factory.call("GET", "/v1/actions")
    assert code == 200
    return [Action.model_validate(a) for a in answer]


@pytest.mark.parametrize(
    ("step", "state"),
    [
        ("before asked", None),
        ("asked", "failed"),
        ("files half written", "failed"),
        ("not renamed", "failed"),
        ("renamed", "applied"),
        ("written", "applied"),
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
        assert [a.state for a in actions(factory)] == ([] if state is None else [state])
        there = site.state / "published" / "directory" / "1"
        assert there.exists() is (state == "applied")
        version = "1" if state == "applied" else "shipped"
        assert factory.queue("Q").wrapper_version == version
        # The next one is published as if nothing had been.
        draft = {"name": "directory", "template": template(site) + "# more\n"}
        code, done = factory.call(
            "POST", "/v1/publish", {**draft, "base": version, "message": "again"}
        )
        assert code == 200, done
        assert factory.queue("Q").wrapper_version == str(1 + (state == "applied"))
        assert not [p for p in there.parent.iterdir() if not p.name.isdigit()]


def test_a_damaged_version_keeps_the_factory_down_and_is_named(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        first = site.start()
        draft = {"name": "directory", "template": template(site)}
        body = {**draft, "base": "shipped", "message": "m"}
        assert first.call("POST", "/v1/publish", body)[0] == 200
        sha = first.queue("Q").wrapper_sha
        assert first.stop() == 0
        file = site.state / "published" / "directory" / "1" / "wrapper.sh"
        whole = file.read_text()
        file.chmod(0o644)
        file.write_text(whole[: len(whole) // 2])
        refused = site.launch()
        assert refused.ended() == 1
        assert "published/directory/1 is damaged" in refused.said()
        file.write_text(whole)
        assert site.start().queue("Q").wrapper_sha == sha


def test_one_damaged_while_the_factory_runs_hinders_no_pause(tmp_path: Path) -> None:
    with Site(tmp_path, SETTINGS) as site:
        factory = site.start()
        body = {"name": "directory", "template": template(site), "message": "m"}
        assert factory.call("POST", "/v1/publish", {**body, "base": "shipped"})[0] == 200
        sha = factory.queue("Q").wrapper_sha
        (site.state / "published" / "directory" / "1" / "version.toml").unlink()
        assert factory.change("Q", "paused", True)[0] == 200
        assert factory.queue("Q").wrapper_sha == sha
        code, answer = factory.call("POST", "/v1/reload")
        assert code == 400
        assert "published/directory/1 is damaged" in answer["error"]
        assert factory.queue("Q").wrapper_sha == sha

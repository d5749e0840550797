"""Batch and submit `local`: real pilots, real locks, real SIGKILL."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import ValidationError

from core.model.answers import BatchAnswer, BatchCount
from core.model.errors import SourceError, SubmitRefused
from core.model.plugin import NoParams
from core.model.submission import Found, PilotJob
from core.settings.wrappers import Library, write
from plugins.batch.local import LocalBatch, LocalParams
from plugins.local import ended, pilots, removal, shim, starter
from plugins.local.pilots import State
from plugins.submit.local import LocalSubmit
from plugins.wms.directory import create

HOSTILE = 'it\'s "q" $(touch x) `touch y` \\ \n {{}} [/x] \x1b]52;c;aGk=\x07\x1b[2J \u202e é'
SCHEDD = "local:anything"
T = TypeVar("T")


class Site:
    """A folder of pilots, and both plug-ins on it."""

    def __init__(self, path: Path) -> None:
        self.tmp = path
        self.path = path / "pilots"
        self.slots(100)

    def slots(self, n: int) -> None:
        params = LocalParams(path=self.path, slots=n)
        self.batch, self.submit = LocalBatch(params), LocalSubmit(params)

    def job(self, body: str, n: int = 1, **changes: object) -> PilotJob:
        script = self.tmp / f"{uuid.uuid4()}.sh"
        script.write_text(f"#!/bin/bash\n{body}\n")
        script.chmod(0o755)
        job = PilotJob(
            factory="f",
            instance="i",
            queue="q",
            submission=str(uuid.uuid4()),
            n=n,
            wrapper="hash",
            executable=str(script),
            log_dir=str(self.tmp),
        )
        return job.model_copy(update=changes)

    def send(self, job: PilotJob) -> Path:
        description = self.submit.describe(job, NoParams())
        self.submit.submit(SCHEDD, description, job.n)
        return self.path / job.submission

    def write_only(self, job: PilotJob) -> Path:
        """Stop where a submitter is killed that has renamed and has started nothing yet."""
        pilots.commit(self.path, job, self.submit.describe(job, NoParams()))
        return self.path / job.submission

    def counts(self, queue: str = "q") -> tuple[int, int, int]:
        """Return pending, running, leaving."""
        for count in self.batch.poll("f", "i").counts:
            if count.queue == queue:
                return count.pending, count.running, count.leaving
        return 0, 0, 0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    for folder in site.path.glob("*-*-*-*-*/"):
        removal.remove([p for p in folder.iterdir() if p.is_dir()])


def until(found: Callable[[], T], seconds: float = 15) -> T:
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value


def exit_of(pilot: Path) -> str:
    return until(lambda: (pilot / "exit").exists() and (pilot / "exit").read_text().strip()) or ""


def gone(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def in_child(action: Callable[[], object]) -> int:
    """Run `action` in a process of its own, as a worker would; return its pid."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return pid


def test_a_pilot_runs_in_its_folder_and_leaves_output_and_exit_code(site: Site) -> None:
    folder = site.send(site.job("pwd; echo oops >&2; exit 42", n=2))
    assert [exit_of(folder / i) for i in "01"] == ["42", "42"]
    assert (folder / "1" / "out").read_text() == f"{folder}/1\n"
    assert (folder / "1" / "err").read_text() == "oops\n"
    assert site.counts() == (0, 0, 2)
    assert site.batch.upkeep() == []
    assert site.batch.poll("f", "i") == BatchAnswer(schedd=f"local:{site.path}", counts=())
    assert (ended.folder(site.path) / folder.name / "0" / "out").exists()


def test_a_killed_wrapper_and_one_that_is_no_program_have_a_code_too(site: Site) -> None:
    assert exit_of(site.send(site.job("kill -KILL $$")) / "0") == "137"
    broken = site.job("true")
    Path(broken.executable).write_text("#!/no/such/interpreter\n")
    folder = site.send(broken)
    assert exit_of(folder / "0") == "127"
    assert "cannot execute" in (folder / "0" / "err").read_text()


def test_the_description_is_exact_and_the_environment_apfs(site: Site) -> None:
    job = site.job("env -0", queue="CERN", environment={"A": "b c", "PANDA_JSID": "mine"})
    text = site.submit.describe(job, NoParams())
    assert text == site.submit.describe(job, NoParams())
    assert json.loads(text)["environment"]["FACTORYQUEUE"] == "CERN"
    os.environ["SECRET_OF_THE_FACTORY"] = "x"
    folder = site.send(job)
    del os.environ["SECRET_OF_THE_FACTORY"]
    assert (folder / "submission.json").read_text() == text
    exit_of(folder / "0")
    lines = (folder / "0" / "out").read_text().split("\0")[:-1]
    env = dict(line.split("=", 1) for line in lines)
    assert env["APFFID"] == "f"
    assert env["PANDA_JSID"] == "mine", "the operator's word is the last"
    assert env["APF_PILOT"] == env["APFCID"] == f"{job.submission}.0"
    assert env["FACTORY_JOBID"] == f"{os.uname().nodename}#{job.submission}.0"
    assert env["A"] == "b c"
    assert "SECRET_OF_THE_FACTORY" not in env


def test_hostile_text_arrives_literally_and_does_nothing(site: Site) -> None:
    job = site.job('printf "%s\\0" "$FACTORYQUEUE" "$X"', queue=HOSTILE, environment={"X": HOSTILE})
    folder = site.send(job)
    assert exit_of(folder / "0") == "0"
    assert (folder / "0" / "out").read_text().split("\0")[:-1] == [HOSTILE, HOSTILE]
    assert site.counts(HOSTILE) == (0, 0, 1)
    assert not list(site.tmp.rglob("x")) + list(site.tmp.rglob("y"))


@pytest.mark.parametrize("env", [{"A": "b\0c"}, {"": "x"}, {"A=B": "x"}, {"A": "\ud800"}])
def test_an_environment_that_no_process_can_have_is_refused(
    site: Site, env: dict[str, str]
) -> None:
    with pytest.raises(SubmitRefused, match="environment variable"):
        site.submit.describe(site.job("true", environment=env), NoParams())


def test_what_is_refused_leaves_nothing(site: Site) -> None:
    job = site.job("true", n=2)
    text = site.submit.describe(job, NoParams())
    with pytest.raises(SubmitRefused, match="of 2 pilots, not of 3"):
        site.submit.submit(SCHEDD, text, 3)
    odd = site.job("true", submission="../../odd")
    with pytest.raises(SubmitRefused, match="is no uuid"):
        site.send(odd)
    Path(job.executable).chmod(0o600)
    with pytest.raises(SubmitRefused, match="cannot execute"):
        site.submit.submit(SCHEDD, text, 2)
    assert not site.path.exists()
    site.path.write_text("a file is in the way")
    Path(job.executable).chmod(0o700)
    with pytest.raises(SubmitRefused, match="cannot write"):
        site.submit.submit(SCHEDD, text, 2)
    site.path.unlink()
    with pytest.raises(ValidationError, match="is not absolute"):
        LocalParams(path=Path("here"))


def test_pilots_beyond_the_slots_wait_and_are_started_oldest_first(site: Site) -> None:
    site.slots(2)
    first = site.send(site.job(f"while [ ! -e {site.tmp}/go ]; do sleep 0.02; done", n=3))
    second = site.send(site.job("true", n=1))
    assert site.counts() == (2, 2, 0)
    assert site.batch.upkeep() == []
    (site.tmp / "go").touch()
    for i in "01":
        exit_of(first / i)
    assert site.batch.upkeep() == ["started 2 waiting pilots"]
    assert exit_of(first / "2") == exit_of(second / "0") == "0"
    assert site.counts() == (0, 0, 4)


def test_what_was_submitted_but_not_started_when_all_died_is_started_later(site: Site) -> None:
    folder = site.write_only(site.job("exit 3", n=2))
    assert site.counts() == (2, 0, 0)
    assert site.batch.upkeep() == ["started 2 waiting pilots"]
    assert [exit_of(folder / i) for i in "01"] == ["3", "3"]


def test_a_submitter_killed_at_any_moment_leaves_all_or_nothing(site: Site) -> None:
    seen = set()
    chance = random.Random(1)
    longest = 0.04
    for _ in range(30):
        job = site.job("true", n=30)
        text = site.submit.describe(job, NoParams())
        pid = in_child(lambda text=text: site.submit.submit(SCHEDD, text, 30))  # type: ignore[misc]
        time.sleep(chance.uniform(0, longest))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        site.path.mkdir(exist_ok=True)
        found = site.submit.look(SCHEDD, job.submission, time.time())
        seen.add(len(found))
        if 1 not in seen:
            longest *= 1.2  # a disk that syncs slowly takes longer to get to the rename
        if found:
            assert found[0].n == 30
            folder = site.path / job.submission
            assert sum(p.is_dir() for p in folder.iterdir()) == 30
            removal.remove([folder / str(i) for i in range(30)])
    assert seen == {0, 1}, "kills before and after the rename"


def test_pilots_survive_the_worker_that_started_them_and_leave_it_no_zombie(site: Site) -> None:
    job = site.job("sleep 0.3; exit 7", n=2)

    def work() -> None:
        folder = site.send(job)
        for i in "01":
            exit_of(folder / i)
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

    assert os.waitpid(in_child(work), 0)[1] == 0
    job = job.model_copy(update={"submission": str(uuid.uuid4())})
    folder = site.path / job.submission

    def hang() -> None:
        os.setsid()
        site.send(job)
        time.sleep(60)

    worker = in_child(hang)
    until((folder / "1" / "started").exists)
    os.killpg(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert [exit_of(folder / i) for i in "01"] == ["7", "7"]


def test_many_who_start_the_same_pilot_start_it_once(site: Site) -> None:
    folder = site.write_only(site.job(f"echo $APF_PILOT >> {site.tmp}/ran; sleep 0.2", n=4))
    command = [sys.executable, "-I", "-S", shim.__file__]
    racers = [
        subprocess.Popen([*command, str(folder / str(i))]) for _ in range(6) for i in range(4)
    ]
    codes = [racer.wait(20) for racer in racers]
    for i in range(4):
        exit_of(folder / str(i))
    assert sorted(codes) == [shim.IS_STARTED] * 4 + [shim.NOT_OURS] * 20
    assert subprocess.run([*command, str(folder / "0")], check=False).returncode == shim.NOT_OURS
    assert len((site.tmp / "ran").read_text().split()) == 4


def test_two_starters_at_a_time_keep_to_the_slots(site: Site) -> None:
    folder = site.write_only(site.job("sleep 1", n=8))
    children = [in_child(lambda: starter.start_waiting(site.path, 2)) for _ in range(6)]
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 6
    assert site.counts() == (6, 2, 0)
    removal.remove([folder / str(i) for i in range(8)])


def test_a_killed_shim_is_a_lost_pilot_told_once(site: Site) -> None:
    folder = site.send(site.job("echo $$ > pid; while :; do sleep 0.05; done"))
    wrapper = int(until(lambda: (folder / "0" / "pid").exists() and _text(folder / "0" / "pid")))
    os.kill(int(_text(folder / "0" / "started")), signal.SIGKILL)
    until(lambda: not pilots.locked(folder / "0"))
    assert site.counts() == (0, 0, 1)
    until(lambda: gone(wrapper))  # nobody would count it any more
    assert site.batch.upkeep() == [f"lost a pilot of q: its shim was killed; see {folder}/0"]
    assert site.batch.upkeep() == []
    assert (ended.folder(site.path) / folder.name / "0" / "exit").read_text() == "lost\n"
    assert site.counts() == (0, 0, 0)


def _text(path: Path) -> str:
    return path.read_text().strip()


def test_signals_reach_the_wrapper_and_the_second_one_kills(site: Site) -> None:
    loop = "echo ready; while :; do sleep 0.05; done"
    polite = site.send(site.job(f"trap 'exit 9' TERM; {loop}")) / "0"
    stubborn = site.send(site.job(f"trap '' TERM; {loop}")) / "0"
    for pilot in (polite, stubborn):
        until(lambda pilot=pilot: _text(pilot / "out"))  # type: ignore[misc]
        os.kill(int(_text(pilot / "started")), signal.SIGTERM)
    assert exit_of(polite) == "9"
    assert pilots.state(stubborn) is pilots.State.RUNNING
    shim = int(_text(stubborn / "started"))

    def killed() -> bool:
        """More than once: two that come before the shim has looked are one to it."""
        if not (stubborn / "exit").exists():
            os.kill(shim, signal.SIGTERM)
        return (stubborn / "exit").exists()

    until(killed)
    assert exit_of(stubborn) == "137"


def test_nothing_of_a_pilot_outlives_it(site: Site) -> None:
    body = "setsid sleep 300 & echo $!; (setsid setsid sleep 300 & echo $!) & sleep 0.2; exit 0"
    pilot = site.send(site.job(body)) / "0"
    assert exit_of(pilot) == "0"
    left = [int(pid) for pid in _text(pilot / "out").split()]
    assert len(left) == 2
    assert all(gone(pid) for pid in left)


def test_removed_pilots_are_gone_and_waiting_ones_never_start(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "GRACE", 0.3)
    site.slots(2)
    body = "trap '' TERM; echo $$; setsid sleep 300 & echo $!; echo; while :; do sleep 0.1; done"
    job = site.job(body, n=4)
    folder = site.send(job)
    for i in "01":
        until(lambda i=i: (folder / i / "out").read_text().endswith("\n\n"))  # type: ignore[misc]
    pids = [int(pid) for i in "01" for pid in _text(folder / i / "out").split()]
    (found,) = site.submit.look(SCHEDD, job.submission, 0)
    site.submit.remove(SCHEDD, found)
    assert all(gone(pid) for pid in pids)
    assert [_text(folder / str(i) / "exit") for i in range(4)] == ["137", "137"] + ["removed"] * 2
    site.batch.upkeep()
    assert site.counts() == (0, 0, 0)
    assert not (ended.folder(site.path) / folder.name / "3" / "started").exists()
    site.submit.remove(SCHEDD, found)


def test_removal_and_start_at_a_time_leave_nothing_running(site: Site) -> None:
    for _ in range(4):
        folder = site.write_only(site.job("sleep 300", n=3))
        child = in_child(lambda: starter.start_waiting(site.path, 100))
        removal.remove([folder / str(i) for i in range(3)])
        assert os.waitpid(child, 0)[1] == 0
        assert site.counts()[1] == 0
        site.batch.upkeep()
        assert site.counts() == (0, 0, 0)


def test_other_factories_are_not_counted_and_other_instances_are_named(site: Site) -> None:
    site.write_only(site.job("true", n=2))
    site.write_only(site.job("true", factory="another"))
    site.write_only(site.job("true", instance="stranger", queue="q2"))
    answer = site.batch.poll("f", "i")
    assert answer.foreign == ("stranger",)
    assert answer.counts == (BatchCount(queue="q", pending=2),)
    assert [each.n for each in site.submit.sweep(SCHEDD, "f", "i")] == [2]


def outcomes(site: Site, since: float = 0.0) -> list[tuple[str, bool]]:
    """Return queue and outcome of the pilots of factory f, instance i that ended."""
    told = site.batch.ended("f", "i", since).pilots
    return sorted({pilot.id: (pilot.queue, pilot.done) for pilot in told}.values())


def test_what_became_of_pilots_is_told_while_and_after_others_of_their_submission_run(
    site: Site,
) -> None:
    began = time.time()
    site.slots(5)
    site.send(site.job("exit 0", queue="done"))
    site.send(site.job("exit 3", queue="code"))
    site.send(site.job("kill -9 $$", queue="signal"))
    site.send(site.job("exit 0", queue="theirs", factory="g"))
    site.send(site.job("exit 0", queue="twin", instance="j"))
    mixed = site.send(site.job("[ $APF_PILOT = ${APF_PILOT%.0} ] || sleep 600", 2, queue="mixed"))
    lost = site.send(site.job("sleep 600", queue="lost"))
    until(lambda: pilots.state(lost / "0") is State.RUNNING)
    site.slots(1)
    waits = site.send(site.job("exit 0", queue="removed"))
    told = [("code", False), ("done", True), ("mixed", True), ("signal", False)]
    until(lambda: outcomes(site) == told)
    removal.remove([waits / "0"])
    os.kill(int(_text(lost / "0" / "started")), signal.SIGKILL)
    until(lambda: pilots.state(lost / "0") is State.LOST)
    site.batch.upkeep()  # files away what has ended
    told = sorted([*told, ("lost", False), ("removed", False)])
    assert outcomes(site) == told
    assert outcomes(site, began) == told
    assert outcomes(site, time.time() + 1) == []
    removal.remove([mixed / "0"])
    assert outcomes(site) == sorted([*told, ("mixed", False)])


def test_a_look_finds_what_is_there_until_it_is_deleted_and_says_when_it_cannot_know(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = site.job("true")
    with pytest.raises(SourceError, match="there is no folder"):
        site.submit.look(SCHEDD, job.submission, 0)
    before = time.time()
    folder = site.send(job)
    (found,) = site.submit.look(SCHEDD, job.submission, before)
    assert found == Found(
        submission=job.submission,
        queue="q",
        cluster=job.submission,
        n=1,
        wrapper="hash",
        at=found.at,
    )
    assert before - 1 < found.at < time.time() + 1
    exit_of(folder / "0")
    site.batch.upkeep()
    assert site.submit.look(SCHEDD, job.submission, before) == (found,)
    assert site.submit.sweep(SCHEDD, "f", "i") == (found,)
    assert site.submit.look(SCHEDD, str(uuid.uuid4()), before) == ()
    week_old = time.time() - 8 * 86400
    with pytest.raises(SourceError, match=r"older than what .* keeps"):
        site.submit.look(SCHEDD, str(uuid.uuid4()), week_old)
    os.utime(ended.folder(site.path) / job.submission, (week_old, week_old))
    site.slots(1)
    assert site.batch.upkeep() == [f"deleted 1 old submissions in {site.path}"]
    assert site.submit.sweep(SCHEDD, "f", "i") == ()


def test_a_deletion_that_was_killed_half_way_hinders_nobody_and_is_finished_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = site.job("true")
    exit_of(site.send(job) / "0")
    site.batch.upkeep()
    week_old = time.time() - 8 * 86400
    os.utime(ended.folder(site.path) / job.submission, (week_old, week_old))
    site.slots(1)

    def killed(path: Path, **_: object) -> None:
        (path / pilots.DESCRIPTION).unlink()

    with monkeypatch.context() as patch:
        patch.setattr("plugins.local.ended.shutil.rmtree", killed)
        site.batch.upkeep()
    assert outcomes(site) == []
    assert site.submit.sweep(SCHEDD, "f", "i") == ()
    (left,) = site.path.glob(f".{job.submission}*")
    os.utime(left, (week_old, week_old))
    site.slots(1)
    assert site.batch.upkeep() == [f"deleted 1 old submissions in {site.path}"]
    assert not left.exists()


def test_what_cannot_be_trusted_is_unknown_and_not_zero(site: Site) -> None:
    folder = site.write_only(site.job("true"))
    (folder / "submission.json").write_text("{")
    with pytest.raises(SourceError, match=r"cannot read .*submission\.json.*; move its folder"):
        site.batch.poll("f", "i")
    shutil.rmtree(folder)
    site.path.chmod(0o777)
    with pytest.raises(SourceError, match="writable by everyone; chmod o-w"):
        site.batch.poll("f", "i")


def test_a_thousand_submissions_are_counted_quickly(site: Site) -> None:
    text = site.submit.describe(site.job("true"), NoParams())
    for parent in (site.path, ended.folder(site.path)):
        for _ in range(1000):
            (parent / str(uuid.uuid4()) / "0").mkdir(parents=True)
    for folder in site.path.glob("**/*-*-*-*-*"):
        (folder / "submission.json").write_text(text)
    started = time.monotonic()
    assert site.counts() == (1000, 0, 0)
    assert time.monotonic() - started < 2
    shutil.rmtree(site.path)


def test_a_signal_and_an_exit_code_pass_through_shim_wrapper_and_payload(site: Site) -> None:
    queue = create(site.tmp / "wms", "work")
    name = HOSTILE.replace("/", "~")
    payload = queue / "new" / name
    payload.write_text(
        "#!/bin/bash\ntrap 'echo asked to end; exit 23' TERM\n"
        'printf "%s\\n" "$0" "$FACTORYQUEUE"\necho ready\nwhile :; do sleep 0.05; done\n'
    )
    payload.chmod(0o755)
    context = {"wms": {"path": str(site.tmp / "wms")}, "wms_queue": "work"}
    script = write(Library().render("directory", {}, context), site.tmp / "wrappers")
    pilot = site.send(site.job("", executable=str(script), queue=HOSTILE)) / "0"
    until(lambda: "ready" in _text(pilot / "out"))
    claimed = f"{pilot.parent.name}.0,{name}"
    assert [p.name for p in (queue / "running").iterdir()] == [claimed]
    os.kill(int(_text(pilot / "started")), signal.SIGTERM)
    assert exit_of(pilot) == "23"
    out = (pilot / "out").read_text()
    assert "asked to end" in out
    assert f"{queue}/running/{claimed}\n{HOSTILE}\n" in out
    assert not list(site.tmp.rglob("x")) + list(site.tmp.rglob("y"))

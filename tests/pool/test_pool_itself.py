"""The pool that other tests stand on: it does what they take for granted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from . import chroot, sandbox
from .client import ClientError, call, count_jobs, submit
from .condor import CondorPool
from .fixtures import refusal
from .sandbox import started, until

FIRST, SECOND = 0, 1
EACH_SCHEDD = pytest.mark.parametrize("which", [FIRST, SECOND], ids=["first", "second"])


def statuses(pool: CondorPool, schedd: str, cluster: int) -> list[int]:
    ads = pool.queue(schedd, f"ClusterId == {cluster}", ["JobStatus"])
    return [ad["JobStatus"] for ad in ads]


def wait_running(pool: CondorPool, schedd: str, cluster: int, count: int = 1) -> None:
    until(lambda: statuses(pool, schedd, cluster) == [2] * count, "running jobs", 30)


def test_both_schedds_answer_through_the_bindings(clean_pool: CondorPool) -> None:
    code = """
ads = collector.query(htcondor2.AdType.Schedd, projection=["Name"])
answer(sorted(ad["Name"] for ad in ads))
"""
    assert call(clean_pool, "", code) == sorted(clean_pool.schedds)
    for schedd in clean_pool.schedds:
        assert count_jobs(clean_pool, schedd) == 0
    printed = clean_pool.run("condor_status", "-schedd", "-af", "Name").split()
    assert sorted(printed) == sorted(clean_pool.schedds)


@EACH_SCHEDD
def test_a_job_of_apf_runs_and_ends(clean_pool: CondorPool, which: int) -> None:
    schedd, other = clean_pool.schedds[which], clean_pool.schedds[1 - which]
    # A name of its own: the schedds number their clusters each for itself.
    cluster = submit(clean_pool, schedd, My__APFQueue=f'"itself-{which}"')
    until(lambda: not clean_pool.queue(schedd, attrs=["ClusterId"]), "the end of the job", 30)
    mine = f'ClusterId == {cluster} && APFQueue == "itself-{which}"'
    attributes = ["JobStatus", "Owner", "ExitCode"]
    assert clean_pool.history(schedd, mine, attributes) == [
        {"JobStatus": 4, "Owner": "apf", "ExitCode": 0}
    ]
    assert clean_pool.history(other, mine) == []


def test_a_job_and_a_test_share_files(clean_pool: CondorPool) -> None:
    schedd = clean_pool.schedds[FIRST]
    asked = clean_pool.shared / "asked"
    asked.write_text("payload\n")
    script = f"\"-c '(cat {asked}; id --user --name) > {clean_pool.shared}/answered'\""
    submit(clean_pool, schedd, executable="/bin/sh", arguments=script)
    answered = clean_pool.shared / "answered"
    until(lambda: answered.exists() and answered.read_text().count("\n") == 2, "the answer", 30)
    assert answered.read_text() == "payload\nnobody\n"


def test_many_short_jobs_run_within_a_minute(clean_pool: CondorPool) -> None:
    clusters = {schedd: submit(clean_pool, schedd, count=30) for schedd in clean_pool.schedds}
    until(lambda: not any(map(clean_pool.queue, clusters)), "empty queues", 60, 0.5)
    for schedd, cluster in clusters.items():
        assert len(clean_pool.history(schedd, f"ClusterId == {cluster}", ["ProcId"])) == 30


@EACH_SCHEDD
def test_a_paused_schedd_hangs_its_clients_and_comes_back(
    clean_pool: CondorPool, which: int
) -> None:
    schedd, other = clean_pool.schedds[which], clean_pool.schedds[1 - which]
    submit(clean_pool, schedd, count=3, hold="true")
    clean_pool.pause_schedd(schedd)
    with pytest.raises((ClientError, subprocess.TimeoutExpired)):
        count_jobs(clean_pool, schedd, timeout=3)
    assert count_jobs(clean_pool, other) == 0
    clean_pool.continue_schedd(schedd)
    clean_pool.wait_schedd(schedd)
    assert count_jobs(clean_pool, schedd) == 3


@EACH_SCHEDD
def test_a_killed_schedd_comes_back_with_its_jobs(clean_pool: CondorPool, which: int) -> None:
    schedd = clean_pool.schedds[which]
    running = submit(clean_pool, schedd, arguments="600")
    held = submit(clean_pool, schedd, count=2, hold="true")
    wait_running(clean_pool, schedd, running)
    clean_pool.kill_schedd(schedd)
    with pytest.raises(ClientError):
        count_jobs(clean_pool, schedd)
    clean_pool.wait_schedd(schedd)
    assert count_jobs(clean_pool, schedd) == 3
    assert statuses(clean_pool, schedd, running) == [2]
    assert statuses(clean_pool, schedd, held) == [5, 5]


def test_a_schedd_sends_jobs_to_the_other(clean_pool: CondorPool) -> None:
    """HTCondor-C, the way to an HTCondor-CE: the grid manager needs a token of its own."""
    first, second = clean_pool.schedds
    submit(
        clean_pool,
        first,
        universe="grid",
        grid_resource=f"condor {second} {clean_pool.collector}",
        leave_in_queue="true",
    )
    until(lambda: clean_pool.queue(second), "the job at the other schedd", 30)
    attributes = ["JobStatus", "HoldReason"]
    until(
        lambda: clean_pool.queue(first, attrs=attributes) == [{"JobStatus": 4}],
        "the end of the job",
        60,
    )


def test_clear_empties_whatever_there_is(clean_pool: CondorPool) -> None:
    first, second = clean_pool.schedds
    running = submit(clean_pool, first, count=5, arguments="600")
    ended = submit(clean_pool, second, leave_in_queue="true")
    submit(clean_pool, second, count=500, hold="true")
    wait_running(clean_pool, first, running, 5)
    until(lambda: statuses(clean_pool, second, ended) == [4], "the end of the job", 30)
    clean_pool.pause_schedd(first)
    clean_pool.kill_schedd(second)
    clean_pool.clear()
    for schedd in clean_pool.schedds:
        assert clean_pool.queue(schedd) == []
        assert count_jobs(clean_pool, schedd) == 0


SECOND_RUN = """
import sys, time
from {package}.condor import CondorPool
pool = CondorPool.start()
print(pool.collector, pool.shared, pool._sandbox.init, flush=True)
time.sleep(600)
"""


def test_a_killed_test_run_leaves_nothing(clean_pool: CondorPool) -> None:
    """Also: a second run at the same time has a pool of its own."""
    package = __package__ or ""
    top = Path(__file__).parents[package.count(".") + 1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(top),
        "APFTUI_TEST_CACHE": str(chroot.CACHE),
    }
    run = subprocess.Popen(
        [sys.executable, "-c", SECOND_RUN.format(package=package)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout
    collector, shared, init = run.stdout.readline().split()
    assert collector != clean_pool.collector
    birth = started(int(init))
    assert birth
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    until(lambda: started(int(init)) != birth, "the end of the other pool", 10)
    assert not [p for p in sandbox.processes() if str(Path(shared).parent) in " ".join(p.argv)]
    assert str(Path(shared).parent) not in Path("/proc/self/mounts").read_text()
    for schedd in clean_pool.schedds:
        assert count_jobs(clean_pool, schedd) == 0
    CondorPool.start().down()
    assert not Path(shared).exists()


def test_a_half_built_root_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chroot, "CACHE", tmp_path)
    left = tmp_path / "building-left/root/etc"
    left.mkdir(parents=True)
    built: list[Path] = []

    def build(cache: Path, packages: list[str], finished: Path) -> None:
        assert not left.exists()
        finished.mkdir()
        built.append(finished)

    monkeypatch.setattr(chroot, "_build", build)
    plain = chroot.cached_chroot()
    assert chroot.cached_chroot() == plain
    assert chroot.cached_chroot(["slurmd"]) != plain
    assert len(built) == 2


def test_without_a_pool_tests_are_skipped_but_not_in_ci() -> None:
    assert isinstance(refusal("not root", {"CI": "false"}), pytest.skip.Exception)
    for environment in ({"CI": "true"}, {"APFTUI_REQUIRE_POOL": "1"}):
        failure = refusal("not root", environment)
        assert isinstance(failure, pytest.fail.Exception)
        assert "not root" in str(failure)


def test_waiting_ends_at_its_deadline() -> None:
    begin = time.monotonic()
    with pytest.raises(TimeoutError, match="a wonder: not within"):
        until(lambda: False, "a wonder", 0.2)
    assert time.monotonic() - begin < 2

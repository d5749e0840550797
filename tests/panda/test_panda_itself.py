"""The server that other tests stand on: it is the real one, and does what they take for granted."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pool.sandbox import started, until

from .fixtures import refusal
from .server import PandaServer

JSON = {"Accept": "application/json"}
JOBS = "/api/v1/statistics/active_job_detailed_stats_by_site"
QUEUES = "/api/v1/metaconfig/get_site_specs?type=all"


def test_rows_are_told_by_the_real_server(panda: PandaServer) -> None:
    panda.queue("Q", capability="ucore", corecount=8, maxrss=16000, minrss=0)
    panda.jobs("Q", activated=7, running=2)
    code, body = panda.get(JOBS, JSON)
    assert (code, json.loads(body)["data"]) == (
        200,
        {"Q": {"SCORE": {"managed": {"activated": 7, "running": 2, "assigned": 0}}}},
    )
    code, body = panda.get(QUEUES, JSON)
    assert set(json.loads(body)["data"]) == {"Q", "Q/SCORE", "Q/MCORE"}
    assert json.loads(body)["data"]["Q"]["status"] == "online"


def test_without_the_exact_header_it_answers_in_python(panda: PandaServer) -> None:
    panda.jobs("Q", activated=7)
    for headers in ({}, {"Accept": "application/json, */*"}):
        assert panda.get(JOBS, headers)[1].startswith("{'success': True, 'message': ''")


SECOND_RUN = """
import time
from tests.panda.server import PandaServer
server = PandaServer.start()
print(server.base, server._server.pid, server._database.pid, flush=True)
time.sleep(600)
"""


def test_a_killed_test_run_leaves_no_process(panda: PandaServer) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", SECOND_RUN],
        cwd=Path(__file__).parents[2],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout
    base, *told = run.stdout.readline().split()
    pids = [int(pid) for pid in told]
    births = [started(pid) for pid in pids]
    assert len(births) == 2
    assert all(births)
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    until(
        lambda: not any(started(p) == b for p, b in zip(pids, births, strict=True)),
        "the end of the other server and its database",
        10,
    )
    shutil.rmtree(base)
    assert panda.get(JOBS, JSON)[0] == 200


def test_without_a_server_tests_are_skipped_but_not_in_ci() -> None:
    assert isinstance(refusal("no database", {"CI": "false"}), pytest.skip.Exception)
    for environment in ({"CI": "true"}, {"APFTUI_REQUIRE_PANDA": "1"}):
        failure = refusal("no database", environment)
        assert isinstance(failure, pytest.fail.Exception)
        assert "no database" in str(failure)

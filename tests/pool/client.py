"""A client of the pool in a process of its own, as the product's workers are.

The bindings read their configuration once per process and keep security sessions; they also hold
the interpreter while they wait for an answer. So tests call them from here, never from pytest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from .condor import CondorPool

_PRELUDE = """
import json, sys
import htcondor2
params, schedd_name, arguments = json.loads(sys.argv[1])
for name, value in params.items():
    htcondor2.param[name] = value
collector = htcondor2.Collector(params["COLLECTOR_HOST"])

def schedd():
    return htcondor2.Schedd(collector.locate(htcondor2.DaemonType.Schedd, schedd_name))

def answer(value):
    print(json.dumps(value))
"""


class ClientError(RuntimeError):
    """The client process failed; the message ends with what it said."""


def call(
    pool: CondorPool,
    schedd: str,
    code: str,
    arguments: Mapping[str, Any] | None = None,
    timeout: float = 60,
) -> Any:
    """Run `code`, which finds `schedd()` and `arguments`, and return what it gave to `answer()`.

    Raises subprocess.TimeoutExpired (the client is killed then) or ClientError.
    """
    request = json.dumps([pool.client_params, schedd, arguments or {}])
    environment = {"PATH": os.environ["PATH"], "CONDOR_CONFIG": "ONLY_ENV"}
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + code, request],
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise ClientError(done.stderr.strip()[-2000:])
    return json.loads(done.stdout)


_SUBMIT = """
submit = htcondor2.Submit(arguments["description"])
result = schedd().submit(submit, count=arguments["count"])
answer([result.cluster(), result.num_procs()])
"""


def submit(pool: CondorPool, schedd: str, count: int = 1, **description: str) -> int:
    """Submit sleeps of one second, changed by `description`; the cluster's number.

    A double underscore stands for the dot: `My__APFQueue` is `My.APFQueue`.
    """
    wanted = {
        "executable": "/bin/sleep",
        "arguments": "1",
        "transfer_executable": "false",
        # Not "no": this would tie the job to machines with the client's own file system domain.
        "should_transfer_files": "yes",
        "initialdir": "/tmp",
        "request_memory": "10",
        "request_disk": "10",
        **{name.replace("__", "."): value for name, value in description.items()},
    }
    cluster, procs = call(pool, schedd, _SUBMIT, {"description": wanted, "count": count})
    if procs != count:
        raise ClientError(f"{procs} jobs submitted, not {count}")
    return int(cluster)


def count_jobs(pool: CondorPool, schedd: str, timeout: float = 60) -> int:
    """How many jobs the bindings see in a queue."""
    code = 'answer(len(schedd().query("true", ["ClusterId"])))'
    return int(call(pool, schedd, code, timeout=timeout))

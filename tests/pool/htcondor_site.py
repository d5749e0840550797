"""A factory's place in the pool: a name of its own, a wrapper, a folder for logs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from core.model.submission import PilotJob

from .condor import CondorPool
from .htcondor_child import Child

SLEEP = "#!/bin/sh\nexec sleep 600\n"


class Sent(NamedTuple):
    """A submission that was taken."""

    submission: str
    cluster: int


class Site:
    """One factory, on the schedd of `which`."""

    def __init__(self, pool: CondorPool, which: int = 0) -> None:
        self.pool = pool
        self.schedd = pool.schedds[which]
        self.factory = f"factory-{uuid.uuid4().hex[:8]}"
        self.folder = pool.shared / self.factory
        self.folder.mkdir()
        self.folder.chmod(0o777)

    def table(self, **changed: Any) -> dict[str, Any]:
        """The settings' table `[batch.X]`."""
        domains = {name: self.pool.client_params[name] for name in ("UID_DOMAIN", "TRUST_DOMAIN")}
        table = {
            "pool": self.pool.collector,
            "schedd": self.schedd,
            "token_directory": str(self.pool.token_dir),
            "parameters": domains,
        }
        return table | changed

    def child(self, kind: str, **changed: Any) -> Child:
        return Child(kind, self.table(**changed))

    def script(self, text: str) -> Path:
        """A program that jobs can read."""
        path = self.folder / f"script-{len(list(self.folder.iterdir()))}"
        path.write_text(text)
        path.chmod(0o755)
        return path

    def job(self, n: int = 1, script: str = SLEEP, **changed: Any) -> PilotJob:
        job = {
            "factory": self.factory,
            "instance": "here",
            "queue": "Q",
            "submission": str(uuid.uuid4()),
            "n": n,
            "wrapper": "0123abcd",
            "executable": str(self.script(script)),
            "log_dir": str(self.folder),
        }
        return PilotJob.model_validate(job | changed)

    def send(
        self, child: Child, n: int = 1, params: Mapping[str, Any] | None = None, **changed: Any
    ) -> Sent:
        """Submit n pilots; `params` is the queue's table `submit`, `changed` is of the job."""
        job = self.job(n, **changed)
        receipt = child.submit(self.schedd, child.describe(job, **(params or {})), n)
        assert receipt.n == n
        return Sent(job.submission, int(receipt.cluster))

    def queue(self, *attributes: str, constraint: str = "true") -> list[dict[str, Any]]:
        """The factory's jobs as condor_q tells them."""
        mine = f'APFFactory == "{self.factory}" && ({constraint})'
        return self.pool.queue(self.schedd, mine, attributes)

    def tool(self, tool: str, *args: str, check: bool = True) -> None:
        """Run a tool of HTCondor on the schedd, as one who may do anything."""
        where = ["-pool", self.pool.collector, "-name", self.schedd]
        self.pool.run(tool, *where, *args, user="root", check=check)

    def qedit(self, cluster: int, *change: str) -> None:
        """Change attributes of jobs: names and values in turn."""
        self.tool("condor_qedit", str(cluster), *change)

    def rm(self, *options: str) -> None:
        """Remove the factory's jobs. With -forcex: also those that leave_in_queue keeps."""
        mine = f'APFFactory == "{self.factory}"'
        self.tool("condor_rm", *options, "-constraint", mine, check=False)


@contextmanager
def at(pool: CondorPool, which: int = 0) -> Iterator[Site]:
    """A site whose jobs are removed at the end."""
    site = Site(pool, which)
    try:
        yield site
    finally:
        site.rm()
        site.rm("-forcex")

"""A real factory on the real pool: it runs as the account that owns its jobs, as at a site.

Its pilots run as `nobody`; the payload folders are theirs through their group.
"""

from __future__ import annotations

import os
import pwd
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.api.models import Intent
from tests.running import Running, Site

from .chroot import USER
from .condor import CondorPool

PAUSED = Path(__file__).parent / "paused"
"""A submit plug-in `htcondor-paused` for PYTHONPATH: see there."""

_SETTINGS = """
[factory]
name = "{name}"
state = "state"
cycle = {cycle}
{factory}

[wms.jobs]
plugin = "directory"
path = "payloads"
period = 0.5
lag = 3  # from the start of a pilot until it has claimed its payload, on a busy machine

{batches}

[defaults]
wms = "jobs"
batch = "first"
wrapper = "directory"
chain = ["ready", "max-pending"]
submit = {{ plugin = "{submit}", request_disk = 1024 }}  # the bindings ask for 1 GiB
[defaults.sched.max-pending]
maximum = 1000

{queues}
"""

_BATCH = """
[batch.{name}]
plugin = "htcondor"
pool = "{pool.collector}"
schedd = "{schedd}"
token_directory = "{pool.token_dir}"
parameters = {{ UID_DOMAIN = "pool.test", TRUST_DOMAIN = "pool.test" }}
period = 0.5
deadline = {deadline}
max_age = {max_age}
submit_deadline = {submit_deadline}
outcomes_period = {outcomes_period}
"""


class PoolSite(Site):
    """Batch systems `first` and `second` are the pool's two schedds."""

    def __init__(
        self,
        pool: CondorPool,
        queues: str,
        *,
        name: str = "",
        cycle: float = 0.5,
        factory: str = "",
        submit: str = "htcondor",
        deadline: float = 5.0,
        max_age: float = 8.0,
        submit_deadline: float = 10.0,
        outcomes_period: float = 60.0,
    ) -> None:
        self.pool = pool
        self.name = name or f"f-{uuid.uuid4().hex[:8]}"
        self.account = pool.account(USER)
        batches = "".join(
            _BATCH.format(
                name=batch,
                pool=pool,
                schedd=schedd,
                deadline=deadline,
                max_age=max_age,
                submit_deadline=submit_deadline,
                outcomes_period=outcomes_period,
            )
            for batch, schedd in zip(("first", "second"), pool.schedds, strict=True)
        )
        self._template = (cycle, factory, submit, batches)
        folder = pool.shared / f"{self.name}-{uuid.uuid4().hex[:4]}"
        super().__init__(folder, self.settings(queues))
        self.state.mkdir(mode=0o700)
        self._give(self.folder, self.state)

    def settings(self, queues: str) -> str:
        """Return the settings with these queues."""
        cycle, factory, submit, batches = self._template
        return _SETTINGS.format(
            name=self.name,
            cycle=cycle,
            factory=factory,
            submit=submit,
            batches=batches,
            queues=queues,
        )

    def write(self, text: str) -> None:
        """Write the settings; payload folders are writable by the pilots' group."""
        super().write(text)
        for path in (self.payloads, *self.payloads.rglob("*")):
            if path.is_dir():
                self.open_to_pilots(path)

    def open_to_pilots(self, folder: Path) -> None:
        """Let the factory's account own a payload folder, and pilots write there."""
        os.chown(folder, self.account.uid, pwd.getpwnam("nobody").pw_gid)
        folder.chmod(0o2770)

    def start(self, *args: Any, env: Mapping[str, str] | None = None, **more: Any) -> Running:
        """Start it as the jobs' owner, who may read this checkout wherever it is."""
        return super().start(*args, env=env, prefix=self._as_owner(), **more)

    def launch(self, *args: Any, env: Mapping[str, str] | None = None, **more: Any) -> Running:
        """Start it without waiting."""
        more.setdefault("prefix", self._as_owner())
        return super().launch(*args, env=env, **more)

    def paused(self, *points: str) -> dict[str, str]:
        """Return the environment in which submissions wait at these points."""
        folder = self.folder / "pause"
        folder.mkdir(exist_ok=True)
        for point in points:
            (folder / point).touch()
        self._give(folder)
        return {"APFTUI_TEST_PAUSE": str(folder), "PYTHONPATH": str(PAUSED)}

    def reached(self, point: str) -> int | None:
        """Return the pid of the worker that waits at a point."""
        file = self.folder / "pause" / f"{point}.reached"
        return int(file.read_text()) if file.exists() else None

    def go_on(self) -> None:
        """Let submissions pass all points."""
        for file in (self.folder / "pause").iterdir():
            file.unlink()

    def payload_names(self, queue: str, state: str) -> list[str]:
        """Return the files of a payload state: new, running, done or failed."""
        return sorted(p.name for p in (self.payloads / queue / state).iterdir())

    def jobs(self, schedd: str, *attributes: str) -> list[dict[str, Any]]:
        """Return this factory's jobs in a queue as condor_q tells them."""
        mine = f'APFFactory == "{self.name}"'
        return self.pool.queue(schedd, mine, ("ClusterId", "ProcId", *attributes))

    def seen(self) -> dict[str, int]:
        """Return how many jobs each APFSubmission ever had, by queue and history of both."""
        mine = f'APFFactory == "{self.name}"'
        found: dict[str, set[tuple[str, int, int]]] = {}
        for schedd in self.pool.schedds:
            for tell in (self.pool.queue, self.pool.history):
                for ad in tell(schedd, mine, ("ClusterId", "ProcId", "APFSubmission")):
                    jobs = found.setdefault(ad["APFSubmission"], set())
                    jobs.add((schedd, ad["ClusterId"], ad["ProcId"]))
        return {submission: len(jobs) for submission, jobs in found.items()}

    def clean_up(self) -> None:
        """Remove this factory's jobs."""
        for factory in self.factories:
            factory.kill()
        for schedd in self.pool.schedds:
            for options in ((), ("-forcex",)):
                where = ["-pool", self.pool.collector, "-name", schedd]
                constraint = ["-constraint", f'APFFactory == "{self.name}"']
                self.pool.run("condor_rm", *where, *options, *constraint, user="root", check=False)

    def _as_owner(self) -> list[str]:
        ids = [f"--reuid={self.account.uid}", f"--regid={self.account.gid}", "--clear-groups"]
        # The interpreter and the checkout may be below root's home.
        read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        return ["setpriv", *ids, *read]

    def _give(self, *paths: Path) -> None:
        for path in paths:
            os.chown(path, self.account.uid, self.account.gid)


def status_counts(jobs: Iterable[Mapping[str, Any]]) -> Counter[int]:
    """Count jobs by JobStatus."""
    return Counter(job["JobStatus"] for job in jobs)


def outcomes(intents: Iterable[Intent]) -> dict[str, int]:
    """Return how many pilots the ledger says each submission has; None of them is open."""
    said = {}
    for intent in intents:
        assert intent.state in ("confirmed", "absent"), intent
        said[intent.submission] = intent.n if intent.state == "confirmed" else 0
    return said

"""What a pass would decide now: sources are asked, nothing is submitted, nothing is written."""

import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from core.decision.chain import Stop, max_submit
from core.model.decision import Decision
from core.model.errors import NotFound
from core.model.submission import PilotJob
from core.model.text import clean
from core.run.decider import Decider, Question
from core.run.facts import Sources, WmsSource
from core.run.generation import batch_source, render_wrappers, submit_worker, wms_source
from core.run.on_disk import ledger
from core.run.outstanding import REMEMBERED_S, Outstanding
from core.run.pilots import pilot_job
from core.run.stops import operators_stop
from core.run.submission import MOST_AT_ONCE
from core.settings.load import Layers, resolve
from core.settings.overrides import FILE, Overrides, read
from core.settings.schema import QueueSettings, Settings
from core.state import clock
from core.state.folder import read_instance


class Plan:
    """The decisions of a pass that does not take place."""

    def __init__(self, layers: Layers) -> None:
        """Raise SettingsError or StateError if overrides or ledger are there and unreadable."""
        folder = layers.base.factory.state
        self._overrides: Overrides = read(folder / FILE)
        self.settings: Settings = resolve(layers, self._overrides)
        self._wrappers = render_wrappers(self.settings)
        # Without one no pilot of ours can exist: whoever uses our name is another's.
        self._instance = read_instance(folder) or uuid.uuid4().hex
        with ledger(folder) as reader:
            intents = reader.recent(clock.wall() - REMEMBERED_S) if reader else []
        self._outstanding = Outstanding(intents)

    async def decide(self) -> list[Decision]:
        """Return a decision for each queue, in order of their names."""
        async with self._polled() as sources:
            now = clock.boottime()
            sources.remember(self.settings, now)
            questions = [
                self._question(queue, sources, now)
                for _, queue in sorted(self.settings.queues.items())
            ]
            totals = sources.totals(self._outstanding, now)
            decider = Decider()
            try:
                return [d.decision for d in await decider.decide(questions, totals)]
            finally:
                await decider.worker.close()

    async def describe(self, decision: Decision) -> str:
        """Return what the submit plug-in would hand over for a decision, for 1 pilot if it is 0."""
        queue = self.queue(decision.queue)
        fields = pilot_job(self.settings.factory, self._instance, queue, self._wrappers[queue.name])
        n = min(max(1, decision.submit), MOST_AT_ONCE)
        job = PilotJob(submission=str(uuid.uuid4()), n=n, **fields)  # type: ignore[arg-type]
        # Submitters lock the state folder against a starting factory; this one never submits.
        with tempfile.TemporaryDirectory() as folder:
            table = self.settings.batch[queue.batch]
            worker = submit_worker(table, queue.submit_plugin, Path(folder), 0)
            try:
                return str(
                    await worker.call(
                        "describe",
                        table.timing.deadline,
                        job=job.model_dump(mode="json"),
                        params=queue.submit_params.model_dump(mode="json"),
                    )
                )
            finally:
                await worker.close()

    def queue(self, name: str) -> QueueSettings:
        """Return a queue's settings. Raise NotFound if there is none."""
        if name not in self.settings.queues:
            raise NotFound(f"there is no queue {clean(name, 200)}", "see `apftui check`")
        return self.settings.queues[name]

    def _question(self, queue: QueueSettings, sources: Sources, now: float) -> Question:
        counted = sources.batch[queue.batch].source.fresh(now)
        return Question(
            queue,
            sources.facts(queue, self._outstanding, now),
            max_submit(self.settings.factory.max_submit),
            self._stop(queue),
            counted.began if counted else None,
        )

    def _stop(self, queue: QueueSettings) -> Stop | None:
        if (stop := operators_stop(queue, self._overrides)) is not None:
            return stop
        blocking = self._outstanding.blocking(queue.name)
        if blocking is None:
            return None
        text = f"submission {blocking.submission} to {blocking.schedd}: {blocking.state}"
        return Stop("unresolved", f"{text}, {blocking.detail}" if blocking.detail else text)

    @asynccontextmanager
    async def _polled(self) -> AsyncIterator[Sources]:
        """Ask every source once: pilots first, so that demand is never older than their count."""
        settings = self.settings
        batch = {
            name: batch_source(table, settings.factory.name, self._instance)
            for name, table in settings.batch.items()
        }
        wms = {
            # A plan has no earlier count of pilots: demand is taken as of now.
            name: WmsSource(wms_source(table, lambda: settings).source, lag=0.0)
            for name, table in settings.wms.items()
        }
        try:
            for asked in (batch.values(), wms.values()):
                async with anyio.create_task_group() as tasks:
                    for each in asked:
                        tasks.start_soon(each.source.poll)
            yield Sources(wms, batch, {})
        finally:
            for worker in (
                *(b.source.worker for b in batch.values()),
                *(w.source.worker for w in wms.values()),
            ):
                await worker.close()

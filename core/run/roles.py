"""What a worker process can be asked: one class for each kind of outside call.

Every public method takes and returns JSON; a generator answers with one frame an item.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.decision.chain import Bound, Link, Stop
from core.decision.queues import Due, decide_all
from core.model.answers import OutcomeAnswer, WmsQuery
from core.model.errors import SubmitRefused
from core.model.facts import Facts, Totals
from core.model.plugin import Batch, Sched, Submit, Wms
from core.model.submission import Found, IntentState, PilotJob
from core.run.last_hour import HOUR_S, LastHour
from core.settings.registry import plugin_class
from core.state import clock
from core.state.ledger import LedgerReader
from core.state.lock import open_submit_lock, share_submit_lock

Json = Any


class WmsRole:
    """Polls a WMS."""

    def __init__(self, plugin: str, params: Json) -> None:
        kind: type[Wms[Any]] = plugin_class("wms", plugin)
        self._wms = kind(kind.params.model_validate(params))

    def poll(self, wanted: list[Json]) -> Json:
        return self._wms.poll([WmsQuery.model_validate(w) for w in wanted]).model_dump(mode="json")

    def upkeep(self) -> list[str]:
        return [str(line) for line in self._wms.upkeep()]


class BatchRole:
    """Polls a batch system."""

    def __init__(self, plugin: str, params: Json) -> None:
        kind: type[Batch[Any]] = plugin_class("batch", plugin)
        self._batch = kind(kind.params.model_validate(params))

    def poll(self, factory: str, instance: str) -> Json:
        return self._batch.poll(factory, instance).model_dump(mode="json")

    def upkeep(self) -> list[str]:
        return [str(line) for line in self._batch.upkeep()]


class OutcomesRole:
    """Asks a batch system how pilots ended, and counts the last hour."""

    def __init__(self, plugin: str, params: Json) -> None:
        kind: type[Batch[Any]] = plugin_class("batch", plugin)
        self._batch = kind(kind.params.model_validate(params))
        self._hour = LastHour()

    def poll(self, factory: str, instance: str) -> Json:
        now = clock.wall()
        told = self._batch.ended(factory, instance, now - HOUR_S)
        counts = self._hour.take(told.pilots, now)
        return OutcomeAnswer(counts=counts, note=told.note).model_dump(mode="json")


class SubmitRole:
    """Submits to one batch system under one identity, and finds again what was submitted."""

    def __init__(
        self, plugin: str, batch_plugin: str, batch_params: Json, state: str, epoch: int
    ) -> None:
        self._kind: type[Submit[Any, Any]] = plugin_class("submit", plugin)
        batch: type[Batch[Any]] = plugin_class("batch", batch_plugin)
        self._state = Path(state)
        self._epoch = epoch
        # Until this process is dead nobody may take its submissions for absent.
        share_submit_lock(open_submit_lock(self._state))
        self._submit = self._kind(batch.params.model_validate(batch_params))

    def describe(self, job: Json, params: Json) -> str:
        wanted = PilotJob.model_validate(job)
        return str(self._submit.describe(wanted, self._kind.params.model_validate(params)))

    def submit(self, submission: str) -> Json:
        """Send an intent as the ledger has it; a newer factory or a resolved intent forbids it."""
        ledger = LedgerReader.open(self._state)
        try:
            if ledger.epoch() != self._epoch:
                raise SubmitRefused("a newer factory has taken over")
            intent = ledger.intent(submission)
        finally:
            ledger.close()
        if intent is None or intent.state is not IntentState.INTENT:
            raise SubmitRefused(f"the ledger has no open intent {submission}")
        receipt = self._submit.submit(intent.schedd, intent.description, intent.n)
        return receipt.model_dump(mode="json")

    def look(self, schedd: str, submission: str, since: float) -> Json:
        return [f.model_dump(mode="json") for f in self._submit.look(schedd, submission, since)]

    def sweep(self, schedd: str, factory: str, instance: str) -> Json:
        return [f.model_dump(mode="json") for f in self._submit.sweep(schedd, factory, instance)]

    def remove(self, schedd: str, found: Json) -> None:
        self._submit.remove(schedd, Found.model_validate(found))


class DecideRole:
    """Runs sched plug-ins: pure, yet any of them may be a third party's, and may hang."""

    def __init__(self) -> None:
        self._plugins: dict[str, Sched[Any]] = {}

    def decide(self, due: list[Json], totals: Json) -> Iterator[Json]:
        items = (self._due(item) for item in due)
        for decided in decide_all(items, Totals.model_validate(totals)):
            yield [decided.decision.model_dump(mode="json", by_alias=True), decided.failed]

    def _due(self, item: Json) -> Due:
        return Due(
            queue=item["queue"],
            chain=tuple(self._link(name, params) for name, params in item["chain"]),
            facts=Facts.model_validate(item["facts"]),
            bound=Bound(*item["bound"]),
            stop=Stop(*item["stop"]) if item["stop"] else None,
            compat=item["compat"],
        )

    def _link(self, name: str, params: Json) -> Link:
        if name not in self._plugins:
            kind: type[Sched[Any]] = plugin_class("sched", name)
            self._plugins[name] = kind()
        plugin = self._plugins[name]
        return Link(name, plugin, plugin.params.model_validate(params))


ROLES: dict[str, Callable[..., object]] = {
    "wms": WmsRole,
    "batch": BatchRole,
    "outcomes": OutcomesRole,
    "submit": SubmitRole,
    "decide": DecideRole,
}

"""What runs for one load of the settings: sources, submitters, rendered wrappers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.model.answers import BatchAnswer, OutcomeAnswer, WmsAnswer
from core.model.facts import Fact
from core.model.plugin import Batch
from core.run.facts import BatchSource, Sources, WmsSource
from core.run.outcomes import OutcomeSource
from core.run.source import Source
from core.run.submission import Submitter
from core.run.worker import Worker
from core.settings.registry import plugin_class
from core.settings.schema import BatchTable, QueueSettings, Settings, WmsTable
from core.settings.wrappers import Library, Rendered

SubmitterKey = tuple[str, str]
"""(name of the batch system, submit plug-in)."""


class Generation:
    """The settings with all that lives for them. A reload makes a new one and keeps what it can."""

    def __init__(
        self,
        settings: Settings,
        sources: Sources,
        submitters: Mapping[SubmitterKey, Submitter],
        wrappers: Mapping[str, Rendered],
    ) -> None:
        self.settings = settings
        self.sources = sources
        self.submitters = submitters
        self.wrappers = wrappers
        self.needs = {name: _needs(queue) for name, queue in settings.queues.items()}

    def submitter(self, queue: QueueSettings) -> Submitter:
        """Return who submits for a queue."""
        return self.submitters[queue.batch, queue.submit_plugin]


def _needs(queue: QueueSettings) -> frozenset[Fact]:
    steps = (plugin_class("sched", link.plugin).needs for link in queue.chain)
    return frozenset({Fact.BATCH}).union(*steps)


def submitter_keys(settings: Settings) -> set[SubmitterKey]:
    """Return the submitters that the queues want."""
    return {(q.batch, q.submit_plugin) for q in settings.queues.values()}


def wms_source(table: WmsTable, settings: Callable[[], Settings]) -> WmsSource:
    """Make the source of a WMS; each poll asks for what the queues want at that time."""

    def question() -> dict[str, Any]:
        wanted = {q.query for q in settings().queues.values() if q.wms == table.name}
        ordered = sorted(wanted, key=lambda w: (w.queue, w.resource_type or "", w.labels))
        return {"wanted": [w.model_dump(mode="json") for w in ordered]}

    worker = Worker(
        f"wms {table.name}",
        "wms",
        {"plugin": table.plugin, "params": table.params.model_dump(mode="json")},
    )
    return WmsSource(Source(worker, table.timing, WmsAnswer, question), table.lag)


def batch_source(table: BatchTable, factory: str, instance: str) -> BatchSource:
    """Make the source of a batch system."""
    worker = Worker(
        f"batch {table.name}",
        "batch",
        {"plugin": table.plugin, "params": table.params.model_dump(mode="json")},
    )
    question = {"factory": factory, "instance": instance}
    return BatchSource(Source(worker, table.timing, BatchAnswer, lambda: question))


def outcome_source(table: BatchTable, factory: str, instance: str) -> OutcomeSource | None:
    """Make the source of what became of pilots; None if the batch system does not tell."""
    if plugin_class("batch", table.plugin).ended is Batch.ended:
        return None
    worker = Worker(
        f"outcomes {table.name}",
        "outcomes",
        {"plugin": table.plugin, "params": table.params.model_dump(mode="json")},
    )
    question = {"factory": factory, "instance": instance}
    return OutcomeSource(
        Source(worker, table.outcomes, OutcomeAnswer, lambda: question, upkeep=False)
    )


def submit_worker(table: BatchTable, plugin: str, state: Path, epoch: int) -> Worker:
    """Make the worker that submits to a batch system."""
    return Worker(
        f"submit {table.name}",
        "submit",
        {
            "plugin": plugin,
            "batch_plugin": table.plugin,
            "batch_params": table.params.model_dump(mode="json"),
            "state": str(state),
            "epoch": epoch,
        },
    )


def render_wrappers(settings: Settings, running: "Generation | None" = None) -> dict[str, Rendered]:
    """Render the wrapper of every queue. Raise SettingsError naming queue and cure.

    With `running`, what its queues run with stays wherever the settings say the same: a pause
    neither takes in a file that is just being edited, nor fails for it.
    """
    library = Library.of(settings.factory)
    before = {} if running is None else running.wrappers
    rendered = {}
    for name, queue in settings.queues.items():
        kept = before.get(name)
        if (
            kept is None
            or running is None
            or _wanted(running.settings, name) != _wanted(settings, name)
        ):
            kept = library.render(
                queue.wrapper, queue.wrapper_parameters, wrapper_context(settings, queue)
            )
        rendered[name] = kept
    return rendered


def _wanted(settings: Settings, name: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    queue = settings.queues[name]
    return queue.wrapper, queue.wrapper_parameters, wrapper_context(settings, queue)


def wrapper_context(settings: Settings, queue: QueueSettings) -> dict[str, Any]:
    """Return the values that a wrapper's parameters may take as defaults."""
    wms = settings.wms[queue.wms].params.model_dump(mode="json") if queue.wms else {}
    return {
        "factory": settings.factory.name,
        "queue": queue.name,
        "wms_queue": queue.query.queue,
        "resource_type": queue.query.resource_type,
        "wms": wms,
    }

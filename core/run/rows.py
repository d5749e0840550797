"""The rows of the board: each queue's facts as of now, its state in one word, and why."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from core.decision.chain import Stop
from core.model.answers import BatchCount
from core.model.facts import BatchFacts, Fact, Facts, WmsFacts
from core.model.submission import IntentState
from core.run.board import Row
from core.run.facts import BatchSource
from core.run.generation import Generation
from core.run.outstanding import Outstanding
from core.run.passes import Last
from core.run.views import QueueState
from core.settings.schema import QueueSettings

_OFFLINE = ("offline", "brokeroff")
"""What the WMS says of a queue that is to get no pilots. AutoPyFactory knew only the first."""


def rows(
    generation: Generation,
    last: Mapping[str, Last],
    outstanding: Outstanding,
    stopped: Callable[[QueueSettings], Stop | None],
    now: float,
) -> Iterator[Row]:
    """Yield a row for each queue of the settings, and for each that left them with pilots."""
    for name, queue in generation.settings.queues.items():
        yield _row(generation, queue, last.get(name), outstanding, stopped(queue), now)
    yield from _draining(generation, now)


def _row(
    generation: Generation,
    queue: QueueSettings,
    last: Last | None,
    outstanding: Outstanding,
    stop: Stop | None,
    now: float,
) -> Row:
    facts = generation.sources.facts(queue, outstanding, now)
    batch = generation.sources.batch[queue.batch]
    counted, fresh = batch.source.last, batch.source.fresh(now)
    count = batch.count(queue.name)
    demand = generation.sources.wms[queue.wms].source.last if queue.wms else None
    elsewhere = _elsewhere(generation, queue)
    if stop is not None:
        ordered = generation.submitter(queue).ordered(queue.name)
        state, reason = _stopped(stop, facts, elsewhere, ordered)
    else:
        state, reason = _state(generation, queue, last, outstanding, facts)
    if state == "ok" and fresh and count.held:
        reason = f"{count.held} held: {count.hold_reason or 'the batch system does not say why'}"
    elif state == "ok" and elsewhere:
        reason = f"{_pilots(elsewhere)} left on the batch system that it had before"
    elif state == "ok" and facts.wms.note:
        reason = facts.wms.note
    done, failed = _outcomes(generation, [queue.batch], queue.name, now)
    return Row(
        name=queue.name,
        state=state,
        reason=reason,
        facts=facts,
        leaving=count.leaving if fresh else None,
        done=done,
        failed=failed,
        hold_reason=count.hold_reason if fresh else "",
        wms_at=demand.ended if demand else None,
        batch_at=counted.ended if counted else None,
        decision=last.decision if last else None,
        decided_at=last.at if last else None,
        cycle=last.cycle if last else None,
        submitted=outstanding.confirmed(last.submissions, queue.name) if last else 0,
        wms_name=queue.wms,
        batch_name=queue.batch,
        schedd=counted.answer.schedd if counted else "",
        wrapper=queue.wrapper,
        wrapper_version=generation.wrappers[queue.name].version,
        wrapper_sha=generation.wrappers[queue.name].sha256,
        revision=queue.revision,
    )


def _state(
    generation: Generation,
    queue: QueueSettings,
    last: Last | None,
    outstanding: Outstanding,
    facts: Facts,
) -> tuple[QueueState, str]:
    blocking = outstanding.blocking(queue.name)
    if blocking is not None and blocking.state is IntentState.CONFLICT:
        return "error", blocking.detail
    if last is not None and last.failed:
        return "error", last.decision.blind_because or ""
    refused = generation.submitter(queue).refused.get(queue.name)
    if refused is not None:
        return "error", f"not submitted: {refused}"
    missing = facts.missing(generation.needs[queue.name])
    # Totals are a matter of the pass.
    missing = {fact: why for fact, why in missing.items() if fact != "totals"}
    if missing:
        return "blind", "; ".join(missing.values())
    off = _OFFLINE[:1] if queue.apf_compat else _OFFLINE
    if facts.wms.status in off and Fact.WMS_STATUS in generation.needs[queue.name]:
        return "offline", _offline(f"{queue.wms} says {facts.wms.status}", last, facts)
    return "ok", ""


def _elsewhere(generation: Generation, queue: QueueSettings) -> int:
    """Count a queue's pilots on other batch systems than its own: it was there before."""
    there = (
        source.count(queue.name)
        for name, source in generation.sources.batch.items()
        if name != queue.batch
    )
    return sum(count.pending + count.running + count.held for count in there)


def _pilots(n: int) -> str:
    return "1 pilot is" if n == 1 else f"{n or 'some'} pilots are"


def _stopped(stop: Stop, facts: Facts, elsewhere: int, ordered: bool) -> tuple[QueueState, str]:
    """Tell of a queue that an operator stopped; one that drains says how far it is."""
    if stop.name == "paused":
        return "paused", stop.reason
    missing = facts.missing(frozenset({Fact.BATCH}))
    if missing:
        return "draining", "; ".join([*missing.values(), stop.reason])
    pilots = facts.batch.p + facts.batch.u + elsewhere
    if pilots or ordered:
        return "draining", f"{_pilots(pilots)} left; {stop.reason}"
    return "drained", f"no pilots are left; {stop.reason}"


def _offline(says: str, last: Last | None, facts: Facts) -> str:
    """Say what the WMS says, and what the chain made of that if it has been decided on it."""
    if last is None or last.decision.blind or last.facts.wms.status != facts.wms.status:
        return says
    n = last.decision.submit
    return f"{says}: {f'{n} submitted all the same' if n else 'nothing is submitted'}"


def _draining(generation: Generation, now: float) -> Iterator[Row]:
    known = generation.settings.queues
    left: dict[str, list[tuple[str, BatchSource, BatchCount]]] = {}
    for name, batch in generation.sources.batch.items():
        if batch.source.fresh(now) is None:
            continue
        for count in batch.counts().values():
            if count.queue not in known and count.pending + count.running + count.held:
                left.setdefault(count.queue, []).append((name, batch, count))
    for queue, places in left.items():
        batches, sources, counts = zip(*places, strict=True)
        outcomes = _outcomes(generation, batches, queue, now)
        yield _left(queue, batches, sources, counts, outcomes)


def _outcomes(
    generation: Generation, batches: Iterable[str], queue: str, now: float
) -> tuple[int | None, int | None]:
    """Return how many pilots were done and failed in the last hour; a part alone would lie."""
    done = failed = 0
    for batch in batches:
        source = generation.sources.outcomes.get(batch)
        count = source.count(queue, now) if source else None
        if count is None:
            return None, None
        done += count.done
        failed += count.failed
    return done, failed


def _left(
    queue: str,
    batches: Sequence[str],
    sources: Sequence[BatchSource],
    counts: Sequence[BatchCount],
    outcomes: tuple[int | None, int | None],
) -> Row:
    """Return the row of a queue that left the settings, with its pilots on all batch systems."""
    pending = sum(c.pending for c in counts)
    held = sum(c.held for c in counts)
    running = sum(c.running for c in counts)
    polled = [s.source.last for s in sources if s.source.last is not None]
    return Row(
        name=queue,
        state="draining",
        reason=f"not in the settings any more, {pending + held + running} pilots left",
        facts=Facts(
            wms=WmsFacts(problem="the queue left the settings"),
            batch=BatchFacts(pending=pending, held=held, running=running),
        ),
        leaving=sum(c.leaving for c in counts),
        done=outcomes[0],
        failed=outcomes[1],
        hold_reason=next((c.hold_reason for c in counts if c.hold_reason), ""),
        wms_at=None,
        batch_at=min(p.ended for p in polled),
        decision=None,
        decided_at=None,
        cycle=None,
        submitted=0,
        wms_name=None,
        batch_name=", ".join(batches),
        schedd=", ".join(p.answer.schedd for p in polled),
        wrapper="",
        wrapper_version="",
        wrapper_sha="",
        revision="",
    )

"""Past decisions with what became of them, and why in plain words; also while no factory runs."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from core.model.decision import Decision
from core.model.errors import NotFound, StateError
from core.model.facts import Facts
from core.model.frozen import Frozen
from core.model.submission import Intent, IntentState
from core.model.text import clean
from core.run.board import views
from core.run.on_disk import ledger
from core.run.views import BatchView, PastDecision, QueueState, QueueStatus, WmsView
from core.state import clock
from core.state.history import recent
from core.state.ledger import LedgerReader


class SubmissionOutcome(Frozen):
    """What became of one submission of a decision."""

    submission: str
    n: int
    schedd: str
    cluster: str | None
    state: IntentState
    detail: str


class Explanation(Frozen):
    """One decision: inputs, steps, the limit that bound it, and what was submitted."""

    queue: str
    state: QueueState | None
    """None while no factory runs."""
    why: str
    cycle: int | None = None
    at: float | None = None
    """Unix time at which it was made, or made again with the same numbers."""
    age_s: float | None = None
    wms: WmsView | None = None
    batch: BatchView | None = None
    decision: Decision | None = None
    submitted: int = 0
    submissions: tuple[SubmissionOutcome, ...] = ()


def past_decisions(
    folder: Path, reader: LedgerReader, queue: str, limit: int
) -> Iterator[PastDecision]:
    """Yield the newest decisions of a queue, newest first."""
    for record in recent(folder, queue, limit):
        wms, batch = views(Facts.model_validate(record.facts))
        intents = reader.known(record.submissions).values()
        yield PastDecision(
            cycle=record.cycle,
            last_cycle=record.last_cycle,
            at=record.at,
            last_at=record.last_at,
            wms=wms,
            batch=batch,
            decision=Decision.model_validate(record.decision),
            submitted=sum(i.n for i in intents if i.state is IntentState.CONFIRMED),
            submissions=record.submissions,
        )


def explain_running(
    status: QueueStatus, decisions: Sequence[PastDecision], intents: Iterable[Intent]
) -> Explanation:
    """Explain a queue as its running factory knows it; `decisions` are the newest first."""
    return _explain(status.name, status, decisions[0] if decisions else None, intents)


def explain_stopped(folder: Path, queue: str) -> Explanation:
    """Explain the last decision on record. Raise NotFound if there is none."""
    with ledger(folder) as reader:
        if reader is None:
            raise NotFound(f"no factory ever ran in {folder}", "start one with `apftui`")
        try:
            past = next(past_decisions(folder, reader, queue, 1), None)
        except sqlite3.Error as error:
            text = f"cannot read the history in {folder}: {clean(str(error))}"
            raise StateError(text, "ask as the factory's own account") from error
        if past is None:
            raise NotFound(
                f"no decision on queue {clean(queue, 200)} is on record in {folder}",
                "compare its name with the settings",
            )
        return _explain(queue, None, past, reader.known(past.submissions).values())


def why(decision: Decision | None, status: QueueStatus | None = None) -> str:
    """Say in one line of plain words why it is this number of pilots, 0 too."""
    if decision is None:
        return "not decided yet" + (f": {status.reason}" if status and status.reason else "")
    n = f"{decision.submit} pilot{'' if decision.submit == 1 else 's'}"
    if decision.blind:
        return f"{n}, blind: {decision.blind_because}"
    # A note on the WMS's numbers is no reason: it stands beside them.
    news = status.reason if status and status.reason != status.wms.note else ""
    if status is not None and news and decision.submit == 0:
        return f"{n}, {status.state}: {news}"
    steps = decision.steps
    bound = [s for s in steps if s.plugin == decision.bound_by and s.out < s.in_]
    if bound:
        step = bound[-1]
        return f"{n}: {step.plugin} lowered {step.in_} to {step.out}: {step.reason}"
    # If no step changed the number, the one that could have made it says why there is nothing.
    step = next((s for s in reversed(steps) if s.out != s.in_), steps[0])
    return f"{n}: {step.plugin}: {step.reason}"


def _explain(
    queue: str,
    status: QueueStatus | None,
    past: PastDecision | None,
    intents: Iterable[Intent],
) -> Explanation:
    state = status.state if status else None
    if past is None:
        return Explanation(queue=queue, state=state, why=why(None, status))
    known = {i.submission: i for i in intents}
    outcomes = tuple(_outcome(known[s]) for s in past.submissions if s in known)
    return Explanation(
        queue=queue,
        state=state,
        why=why(past.decision, status),
        cycle=past.last_cycle,
        at=past.last_at,
        age_s=round(max(0.0, clock.wall() - past.last_at), 1),
        wms=past.wms,
        batch=past.batch,
        decision=past.decision,
        submitted=past.submitted,
        submissions=outcomes,
    )


def _outcome(intent: Intent) -> SubmissionOutcome:
    return SubmissionOutcome(
        submission=intent.submission,
        n=intent.n,
        schedd=intent.schedd,
        cluster=intent.cluster,
        state=intent.state,
        detail=intent.detail,
    )

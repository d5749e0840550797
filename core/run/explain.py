"""Past decisions with what became of them; works while no factory runs."""

from collections.abc import Iterator
from pathlib import Path

from core.model.decision import Decision
from core.model.facts import Facts
from core.model.submission import IntentState
from core.run.board import views
from core.run.views import PastDecision
from core.state.history import recent
from core.state.ledger import LedgerReader


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

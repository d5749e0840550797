"""The board: one row a queue as it stands now, with versions so that readers get what changed."""

from collections.abc import Iterable
from typing import NamedTuple

import anyio

from core.model.decision import Decision
from core.model.facts import Facts
from core.run.views import BatchView, QueueState, QueueStatus, WmsView


class Row(NamedTuple):
    """All that is shown of a queue; `*_at` are boottimes, so that a row does not age by itself."""

    name: str
    state: QueueState
    reason: str
    facts: Facts
    leaving: int | None
    done: int | None
    failed: int | None
    hold_reason: str
    wms_at: float | None
    batch_at: float | None
    decision: Decision | None
    decided_at: float | None
    cycle: int | None
    submitted: int
    wms_name: str | None
    batch_name: str
    schedd: str
    wrapper: str
    wrapper_version: str
    wrapper_sha: str
    revision: str


class Board:
    """Rows by queue. Versions count all changes of one factory process."""

    def __init__(self) -> None:
        # A reader at 0 has nothing and is answered at once, so 0 is no version to wait at.
        self.version = 1
        self._rows: dict[str, tuple[int, Row]] = {}
        self._gone: dict[str, int] = {}
        self._changed = anyio.Event()

    def show(self, rows: Iterable[Row]) -> None:
        """Make the board show exactly these rows."""
        before, self._rows = self._rows, {}
        version = self.version
        for row in rows:
            old = before.pop(row.name, None)
            if old is None or old[1] != row:
                version += 1
                old = (version, row)
                self._gone.pop(row.name, None)
            self._rows[row.name] = old
        for name in before:
            version += 1
            self._gone[name] = version
        if version != self.version:
            self.version = version
            self.tell()

    def tell(self) -> None:
        """Wake all who wait for news, also of the factory itself."""
        self._changed.set()
        self._changed = anyio.Event()

    async def wait(self, after: float, seconds: float) -> None:
        """Return when something is newer than version `after`, or when the time is over."""
        changed = self._changed
        if self.version <= after:
            with anyio.move_on_after(seconds):
                await changed.wait()

    def since(self, after: int, limit: int, now: float) -> tuple[list[QueueStatus], bool]:
        """Return what changed after a version, oldest change first, and whether there is more."""
        newer = sorted(
            ((v, row) for v, row in self._rows.values() if v > after), key=lambda item: item[0]
        )
        return [status(row, v, now) for v, row in newer[:limit]], len(newer) > limit

    def gone(self, after: int) -> tuple[str, ...]:
        """Return the queues that went since a version."""
        return tuple(name for name, version in self._gone.items() if version > after)

    def row(self, name: str) -> tuple[int, Row] | None:
        """Return a queue's row with its version."""
        return self._rows.get(name)


def status(row: Row, version: int, now: float) -> QueueStatus:
    """Return a row as readers get it, with ages as of the boottime `now`."""
    wms, batch = views(row.facts)
    return QueueStatus(
        name=row.name,
        state=row.state,
        reason=row.reason,
        activated=wms.activated,
        pending=batch.pending,
        running=batch.running,
        held=batch.held,
        done=row.done,
        failed=row.failed,
        wms=wms.model_copy(update={"age_s": _age(row.wms_at, now)}),
        batch=batch.model_copy(
            update={
                "age_s": _age(row.batch_at, now),
                "leaving": row.leaving,
                "hold_reason": row.hold_reason,
            }
        ),
        decision=row.decision,
        decided_age_s=_age(row.decided_at, now),
        cycle=row.cycle,
        submitted=row.submitted,
        wms_name=row.wms_name,
        batch_name=row.batch_name,
        schedd=row.schedd,
        wrapper=row.wrapper,
        wrapper_version=row.wrapper_version,
        wrapper_sha=row.wrapper_sha,
        revision=row.revision,
        version=version,
    )


def views(facts: Facts) -> tuple[WmsView, BatchView]:
    """Return facts as they are shown, without ages."""
    wms, batch = facts.wms, facts.batch
    return (
        WmsView(
            activated=wms.activated,
            running=wms.running,
            status=wms.status,
            other=wms.other,
            problem=wms.problem,
            note=wms.note,
        ),
        BatchView(
            pending=batch.pending,
            running=batch.running,
            held=batch.held,
            in_flight=batch.in_flight,
            problem=batch.problem,
        ),
    )


def _age(at: float | None, now: float) -> float | None:
    return None if at is None else round(max(0.0, now - at), 1)

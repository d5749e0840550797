"""What is known about a queue when it is decided. Unknown is None, never 0."""

from enum import StrEnum

from pydantic import NonNegativeInt

from core.model.frozen import Frozen


class Fact(StrEnum):
    """What a sched plug-in may need; a queue whose chain needs an unknown fact is blind."""

    WMS = "wms"
    """How many payload jobs are activated."""
    WMS_RUNNING = "wms-running"
    """How many payload jobs the WMS says are run."""
    WMS_STATUS = "wms-status"
    """The queue's status in the WMS: online, test, offline, brokeroff."""
    BATCH = "batch"
    """The queue's pilots: pending, held, running. Always needed."""
    TOTALS = "totals"
    """Pilots of all queues of the factory, kept up to date within a pass."""


class WmsFacts(Frozen):
    """Payload jobs of one queue. A missing number is None."""

    activated: NonNegativeInt | None = None
    running: NonNegativeInt | None = None
    status: str | None = None
    problem: str | None = None
    """Why something here is None, in plain words."""
    other: dict[str, NonNegativeInt] = {}
    """Jobs in any other state, by its name: in no formula."""
    note: str | None = None
    """Why the numbers are not those of the WMS's own pages."""


class BatchFacts(Frozen):
    """Pilots of one queue. A missing number is None.

    `in_flight` counts pilots submitted (or perhaps submitted) that the answer cannot show yet.
    """

    pending: NonNegativeInt | None = None
    held: NonNegativeInt | None = None
    running: NonNegativeInt | None = None
    in_flight: NonNegativeInt = 0
    covered: NonNegativeInt | None = None
    """Demand already answered: max(P now, P when demand was measured + submitted since)."""
    problem: str | None = None

    @property
    def known(self) -> bool:
        """True if pending, held and running are all known."""
        return None not in (self.pending, self.held, self.running)

    @property
    def p(self) -> int:
        """P of the formulas: pending + held, and what is in flight.

        Held pilots count (as in AutoPyFactory): a site that holds every pilot would else get new
        ones for ever.
        """
        return (self.pending or 0) + (self.held or 0) + self.in_flight

    @property
    def answered(self) -> int:
        """Demand that has its pilots already; P if nobody knows when it was measured."""
        return self.p if self.covered is None else self.covered

    @property
    def sent_since(self) -> int:
        """Pilots sent since demand was measured that no longer are among P."""
        return max(0, self.answered - self.p)

    @property
    def among_p(self) -> str:
        """What of P does not simply wait, in words to put behind P; often empty."""
        parts = ((self.held, "held"), (self.in_flight, "in flight"))
        told = [f"{n} {what}" for n, what in parts if n]
        return f" ({', '.join(told)})" if told else ""

    @property
    def u(self) -> int:
        """U of the formulas: running pilots."""
        return self.running or 0


class Totals(Frozen):
    """Pilots of the whole factory: what was counted, and what this pass has added so far.

    None while the pilots of some queue cannot be counted: a total that leaves one out would lie.
    """

    pilots: NonNegativeInt | None = None


class Facts(Frozen):
    """All that one decision is made from."""

    wms: WmsFacts = WmsFacts()
    batch: BatchFacts = BatchFacts()
    totals: Totals = Totals()

    def missing(self, needs: frozenset[Fact]) -> dict[Fact, str]:
        """Return the facts of `needs` that are unknown, each with the reason."""
        unknown: dict[Fact, str] = {}
        wms = self.wms.problem or "the WMS did not say"
        if Fact.WMS in needs and self.wms.activated is None:
            unknown[Fact.WMS] = f"activated is unknown: {wms}"
        if Fact.WMS_RUNNING in needs and self.wms.running is None:
            unknown[Fact.WMS_RUNNING] = f"running payloads are unknown: {wms}"
        if Fact.WMS_STATUS in needs and self.wms.status is None:
            unknown[Fact.WMS_STATUS] = f"the queue's status is unknown: {wms}"
        if Fact.BATCH in needs and not self.batch.known:
            unknown[Fact.BATCH] = f"pilots are unknown: {self._batch_problem()}"
        if Fact.TOTALS in needs and self.totals.pilots is None:
            unknown[Fact.TOTALS] = "the factory's total is unknown: some queue cannot be counted"
        return unknown

    def _batch_problem(self) -> str:
        if self.batch.problem:
            return self.batch.problem
        absent = [n for n in ("pending", "held", "running") if getattr(self.batch, n) is None]
        return f"no number for {', '.join(absent)}"

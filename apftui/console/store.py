"""What the factory said last. Owns all data of the console; widgets subscribe and own none."""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from core.api.models import PROTOCOL, FactoryStatus, Hello, QueueStatus, Snapshot


class Seen(NamedTuple):
    """A queue as it was told; `at` is when, in seconds of a clock that never goes back."""

    queue: QueueStatus
    at: float

    def decided_age(self, now: float) -> float | None:
        """Seconds since the decision."""
        age = self.queue.decided_age_s
        return None if age is None else age + now - self.at


class Link(Enum):
    """State of the connection to the factory."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"


class Change(NamedTuple):
    """What subscribers are told: the names that are new, changed or gone; None is all."""

    queues: frozenset[str] | None


PATIENCE_S = 15.0
"""A submission on its way has no outcome either; one that takes this long is an alarm."""

NOTHING: frozenset[str] = frozenset()


class Store:
    """Queues by name at a version of one boot, and the state of the link."""

    def __init__(self) -> None:
        self.hello: Hello | None = None
        self.factory: FactoryStatus | None = None
        self.queues: dict[str, Seen] = {}
        self.boot = ""
        self.version = 0
        self.link = Link.CONNECTING
        self.problem = ""
        """Why the link is not live."""
        self.answered_at: float | None = None
        """When the factory answered last: ticks, as in Seen."""
        self._unresolved_at: float | None = None
        self._filling: dict[str, Seen] | None = None
        self._subscribers: list[Callable[[Change], None]] = []

    @property
    def foreign_protocol(self) -> str:
        """The cure, if the factory speaks another protocol than this console; else empty."""
        if self.hello is None or self.hello.protocol == PROTOCOL:
            return ""
        return (
            f"the factory speaks protocol {self.hello.protocol}, this console {PROTOCOL}: "
            f"read-only; use apftui {self.hello.version}"
        )

    def alarms(self) -> tuple[str, ...]:
        """Say what is wrong with the factory itself, worst first."""
        told = [self.foreign_protocol] if self.foreign_protocol else []
        if self.factory is None:
            return tuple(told)
        told += self.factory.alarms
        n = self.factory.unresolved
        if self._unresolved_for >= PATIENCE_S:
            what = "1 submission has" if n == 1 else f"{n} submissions have"
            told.append(f"{what} an unknown outcome: apftui intent list")
        told += [
            f"{source.kind} {source.name} failed: {source.problem or 'no reason given'}"
            for source in self.factory.sources
            # A batch system that does not answer is told once.
            if source.state == "failed" and source.kind != "outcomes"
        ]
        told += [
            f"override {orphan.key} of {orphan.queue} is set aside: {orphan.problem}"
            for orphan in self.factory.orphans
        ]
        return tuple(told)

    @property
    def _unresolved_for(self) -> float:
        """Seconds in which there always was a submission without an outcome."""
        if self._unresolved_at is None or self.answered_at is None:
            return 0.0
        return self.answered_at - self._unresolved_at

    def subscribe(self, tell: Callable[[Change], None]) -> Callable[[], None]:
        """Call `tell` after every change, until what is returned here is called."""
        self._subscribers.append(tell)
        return lambda: self._subscribers.remove(tell)

    def greet(self, hello: Hello) -> None:
        """Take the factory's hello."""
        self.hello = hello
        self._tell(NOTHING)

    def apply(self, page: Snapshot, at: float) -> None:
        """Take one page. The pages of a full snapshot are shown together, once all are there."""
        self.factory = page.factory
        self.answered_at = at
        if not page.factory.unresolved:
            self._unresolved_at = None
        elif self._unresolved_at is None:
            self._unresolved_at = at
        self.link = Link.LIVE
        self.problem = ""
        self.boot, self.version = page.boot, page.version
        seen = {queue.name: Seen(queue, at) for queue in page.queues}
        if page.full:
            self._filling = {}
        if self._filling is None:
            self.queues.update(seen)
            for name in page.gone:
                self.queues.pop(name, None)
            self._tell(frozenset(seen).union(page.gone))
            return
        self._filling.update(seen)
        for name in page.gone:
            self._filling.pop(name, None)
        if page.more:
            self._tell(NOTHING)
            return
        self.queues, self._filling = self._filling, None
        self._tell(None)

    def lose(self, problem: str) -> None:
        """The factory does not answer: what is here is old from now on."""
        self.problem = problem
        if self._filling is not None:
            # Half a full snapshot is no basis for the changes after it.
            self._filling = None
            self.version = 0
        self.link = Link.STALE if self.answered_at is not None else Link.CONNECTING
        self._tell(NOTHING)

    def _tell(self, queues: frozenset[str] | None) -> None:
        for tell in tuple(self._subscribers):
            tell(Change(queues))

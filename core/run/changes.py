"""Operators' changes: asked in the ledger, then put into overrides.toml, then applied.

overrides.toml is the truth: whatever a crash leaves in the ledger is set right from it.
"""

import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core.model.errors import NotFound, SettingsError, SourceError, Stale, StateError
from core.model.text import clean
from core.run.writer import Writer
from core.settings import overrides as book
from core.settings.load import Layers, resolve, validate_change
from core.settings.overrides import Overrides, Undo
from core.settings.schema import EffectiveValue, Settings
from core.state import clock
from core.state.ledger import Ledger, LedgerReader

log = logging.getLogger("apftui.changes")


REMOVAL = "remove all pilots"
"""What that action is called in the ledger."""

_LONGEST_S = 10 * 366 * 86400.0
"""Until a change ends by itself: a year of five digits is no date to show."""

_MOST_SEEN = 20_000
"""Past revisions of all queues together that are kept for diffs; the oldest are forgotten."""


class Wanted(NamedTuple):
    """One value that is to be set; None takes the override away."""

    queue: str
    key: str
    value: Any
    revision: str | None


class Proposal(NamedTuple):
    """What a change would lead to, before anything is written."""

    action: dict[str, Any]
    overrides: Overrides
    settings: Settings


class Changes:
    """The overrides of the running factory, and the one way to change them."""

    def __init__(self, folder: Path, ledger: Ledger, writer: Writer) -> None:
        """Read overrides.toml. Raise SettingsError if it cannot be read: it holds pauses."""
        self._path = folder / book.FILE
        self._ledger = ledger
        self._writer = writer
        self.overrides = book.read(self._path)
        self._seen: dict[tuple[str, str], tuple[EffectiveValue, ...]] = {}

    def reconcile(self, reader: LedgerReader, published: Collection[str]) -> None:
        """Settle actions that a crash left half done: the disk says whether they were.

        `published` are the actions that wrappers on disk were published by.
        """
        written = {self.overrides.action, *(entry.action for entry in self.overrides.entries)}
        for action in reader.asked():
            if action["id"] in written:
                self._ledger.settle_action(action["id"], "applied", "found in overrides.toml")
            elif action["id"] in published:
                self._ledger.settle_action(action["id"], "applied", "found among the published")
            else:
                self._ledger.settle_action(
                    action["id"], "failed", "the factory ended before it was applied"
                )

    def propose(
        self,
        layers: Layers,
        settings: Settings,
        wanted: Sequence[Wanted],
        *,
        by: str,
        why: str,
        until: float | None,
    ) -> Proposal:
        """Work out a change. Raise Stale, NotFound or SettingsError if it cannot be made."""
        action = uuid.uuid4().hex
        now = clock.wall()
        if until is not None and until <= now:
            raise SettingsError("the change would end before it begins", "give a later time")
        if until is not None and until > now + _LONGEST_S:
            raise SettingsError("the change would last for more than ten years", "give no end")
        overrides = self.overrides
        made = []
        for change in wanted:
            self._check_revision(settings, change)
            if change.value is None:
                overrides = book.unset(overrides, change.queue, change.key, action)
            else:
                entry = book.override(
                    change.queue,
                    change.key,
                    change.value,
                    action=action,
                    by=by,
                    at=now,
                    why=why,
                    until=until,
                )
                overrides = book.set_(overrides, entry)
                made.append(entry)
        after = validate_change(layers, overrides, *made)
        what = "; ".join(_words(c) for c in wanted)
        return self._proposal(action, overrides, after, what, by=by, why=why, until=until)

    def propose_undo(
        self, layers: Layers, reader: LedgerReader, undone: str, *, by: str, why: str
    ) -> Proposal:
        """Work out the undo of an action. Raise NotFound, or Stale if it was changed since."""
        was = reader.action(undone)
        if was is None:
            raise NotFound(f"there is no action {undone}", "see `apftui actions`")
        if was["state"] != "applied" or not was["before"]:
            raise NotFound(f"action {undone} changed no override", "there is nothing to put back")
        action = uuid.uuid4().hex
        material = [Undo.model_validate(u) for u in was["before"]]
        overrides = book.undo(self.overrides, material, action)
        return self._proposal(
            action,
            overrides,
            resolve(layers, overrides),
            f"undo: {was['what']}",
            by=by,
            why=why,
            until=None,
            undoes=was["id"],
        )

    def propose_expiry(self, layers: Layers) -> Proposal | None:
        """Work out the end of overrides whose time is over; None if there are none."""
        over = book.expired(self.overrides, clock.wall())
        if not over:
            return None
        action = uuid.uuid4().hex
        overrides = self.overrides
        for entry in over:
            overrides = book.unset(overrides, entry.queue, entry.key, action)
        what = "; ".join(f"{e.queue}: {e.key} expired" for e in over)
        return self._proposal(
            action, overrides, resolve(layers, overrides), what, by="expiry", why="", until=None
        )

    def remember(self, settings: Settings) -> None:
        """Keep what a queue's settings were at this revision, for the diff of a stale change."""
        for queue in settings.queues.values():
            self._seen.setdefault((queue.name, queue.revision), queue.values)
        while len(self._seen) > _MOST_SEEN:
            del self._seen[next(iter(self._seen))]

    def _check_revision(self, settings: Settings, change: Wanted) -> None:
        queue = settings.queues.get(change.queue)
        if queue is None or change.revision is None or queue.revision == change.revision:
            return
        then = {v.key: v for v in self._seen.get((change.queue, change.revision), ())}
        now = {v.key: v for v in queue.values}
        diff = tuple(
            f"{key}: {_shown(then.get(key))} -> {_shown(now.get(key))}"
            for key in sorted(then.keys() | now.keys())
            if then.get(key) != now.get(key)
        )
        raise Stale(
            f"queue {change.queue} was changed since you looked at it",
            "look at what it is now, and decide again",
            diff if then else ("that revision is of before this factory's start",),
        )

    def _proposal(
        self,
        action: str,
        overrides: Overrides,
        settings: Settings,
        what: str,
        *,
        by: str,
        why: str,
        until: float | None,
        undoes: str | None = None,
    ) -> Proposal:
        # With another chain some may fit no more: they are set aside by this change, so that they
        # come back with its undo, and not by themselves when it ends.
        overrides = book.set_aside(overrides, settings.orphans)
        told = {
            "id": action,
            "at": clock.wall(),
            "by": by,
            "what": what,
            "why": clean(why, 500),
            "until": until,
            "undoes": undoes,
            "before": [
                u.model_dump(mode="json") for u in book.undo_material(self.overrides, overrides)
            ],
        }
        return Proposal(told, overrides, settings)

    async def apply(self, proposal: Proposal) -> dict[str, Any]:
        """Write a change down: ledger, file, ledger. Return the action as the ledger has it.

        Raise StateError if it cannot be written; then nothing has changed.
        """
        return await self.put(proposal.action, self._replace, proposal.overrides)

    def _replace(self, overrides: Overrides) -> None:
        book.write(self._path, overrides)
        self.overrides = overrides

    async def put(
        self, action: dict[str, Any], write: Callable[..., None], *args: Any
    ) -> dict[str, Any]:
        """Do what one call of `write` does: ledger, `write`, ledger. Return the action.

        Raise StateError if it cannot be written; then nothing has changed.
        """
        await self._writer.do(self._ledger.ask, action)
        try:
            await self._writer.do(write, *args)
        except StateError as error:
            await self._settle(action["id"], "failed", str(error))
            raise
        await self._settle(action["id"], "applied", "")
        log.info("%s: %s%s", action["by"], action["what"], _because(action["why"]))
        return {**action, "state": "applied", "detail": ""}

    async def remove_pilots(self, remove: Callable[[], Awaitable[list[str]]], *, by: str) -> None:
        """Remove all pilots, and put on record whether they are gone: the factory ends with it.

        Raise SourceError if some are left.
        """
        action: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "at": clock.wall(),
            "by": by,
            "what": REMOVAL,
            "why": "",
        }
        action |= {"until": None, "undoes": None, "before": []}
        try:
            await self._writer.do(self._ledger.ask, action)
        except StateError as error:  # they are removed all the same
            log.error("%s", error)
        left = await remove()
        await self._settle(action["id"], "failed" if left else "applied", "; ".join(left))
        if left:
            raise SourceError(f"not all pilots are removed: {'; '.join(left)}")
        log.info("%s: %s", by, REMOVAL)

    async def _settle(self, action: str, state: str, detail: str) -> None:
        try:
            await self._writer.do(self._ledger.settle_action, action, state, detail)
        except StateError as error:  # the next start reconciles it from the file
            log.error("%s", error)

    async def set_aside_orphans(self, settings: Settings) -> None:
        """Keep overrides that no longer fit from coming back by themselves."""
        aside = book.set_aside(self.overrides, settings.orphans)
        if aside != self.overrides:
            await self._writer.do(book.write, self._path, aside)
            self.overrides = aside


def _shown(value: EffectiveValue | None) -> str:
    return "not set" if value is None else f"{value.value!r} ({value.layer})"


def _words(change: Wanted) -> str:
    if change.key == "paused" and change.value is True:
        return f"pause {change.queue}"
    if change.key == "paused":
        return f"resume {change.queue}"
    if change.key == "drain":
        return f"drain {change.queue}" if change.value is True else f"end drain of {change.queue}"
    if change.value is None:
        return f"{change.queue}: {change.key} as the settings have it"
    return f"{change.queue}: {change.key} = {change.value!r}"


def _because(why: str) -> str:
    return f" ({why})" if why else ""

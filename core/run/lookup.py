"""Finding out what a batch system has of ours, when nothing could still change it."""

import logging

from core.model.errors import ApftuiError, StateError
from core.model.submission import Found, Intent, IntentState
from core.run.books import Books
from core.run.worker import Worker
from core.settings.schema import BatchTable
from core.state import clock

log = logging.getLogger("apftui.submission")

_CANARY_S = 600.0
"""A submission confirmed this recently must be found: jobs stay listed 15 minutes after the end."""

_SURE_S = 900.0
"""Jobs stay listed for so long after their end. Of an older submission that is not there nobody
knows whether it ever was; but none of its pilots lives, so going on doubles nothing."""


class Lookup:
    """Looks of one submitter at its batch system."""

    def __init__(
        self,
        batch: BatchTable,
        plugin: str,
        worker: Worker,
        books: Books,
        factory: str,
    ) -> None:
        self._batch = batch
        self._plugin = plugin
        self._worker = worker
        self._books = books
        self._factory = factory
        self._deadline = batch.timing.deadline
        self._sees = False

    async def settle(self, intent: Intent, why: str) -> bool:
        """Find and commit what became of an intent; False if the disk did not take it.

        `why` is what hindered its receipt. Whatever is no answer raises.
        """
        await self._check(intent.schedd)
        found = await self._look(intent)
        if not found:
            detail = "not on the schedd: nothing could still send it when that was looked up"
            if clock.wall() - intent.at > _SURE_S:
                detail = "no longer on the schedd, nor in what its history still has: given up"
            if why:
                detail = f"{detail} ({why})"
            return await self._books.resolve(intent, IntentState.ABSENT, detail)
        if len(found) == 1 and found[0].n == intent.n:
            self._sees = True
            detail, cluster = "found on the schedd", found[0].cluster
            return await self._books.resolve(intent, IntentState.CONFIRMED, detail, cluster)
        clusters = ", ".join(f"{f.n} in cluster {f.cluster}" for f in found)
        detail = f"asked for {intent.n} pilots once, the schedd has {clusters}"
        return await self._books.resolve(intent, IntentState.CONFLICT, detail, found[0].cluster)

    async def prove(self, confirmed: Intent) -> None:
        """Look for what must be there: a look that cannot see it must never say "none"."""
        if self._sees:
            return
        try:
            found = await self._look(confirmed)
        except (ApftuiError, ValueError) as error:
            log.warning("%s: looking for %s: %s", confirmed.queue, confirmed.submission, error)
            return
        if found:
            self._sees = True
            self._books.alarms.pop("look", None)
            return
        self._books.alarms["look"] = (
            f"{confirmed.schedd} does not find submission {confirmed.submission} that it confirmed:"
            " nothing more is sent there; does it drop APFSubmission from job ads?"
        )
        log.error("%s", self._books.alarms["look"])

    async def sweep(self, schedd: str) -> None:
        """Take account of every submission of ours that the batch system still has."""
        clusters: dict[str, list[Found]] = {}
        for found in await self.all(schedd):
            clusters.setdefault(found.submission, []).append(found)
        known = await self._books.known(list(clusters))
        for submission, of in clusters.items():
            await self._account(schedd, known.get(submission), of)

    async def all(self, schedd: str) -> list[Found]:
        """Return every submission of ours that the batch system still has."""
        raw = await self._worker.call(
            "sweep",
            self._deadline,
            schedd=schedd,
            factory=self._factory,
            instance=self._books.state.instance,
        )
        return [Found.model_validate(f) for f in raw]

    async def remove(self, schedd: str, found: Found) -> None:
        """Remove the pilots of one cluster."""
        await self._worker.call(
            "remove", self._deadline, schedd=schedd, found=found.model_dump(mode="json")
        )

    async def _look(self, intent: Intent) -> list[Found]:
        raw = await self._worker.call(
            "look",
            self._deadline,
            schedd=intent.schedd,
            submission=intent.submission,
            since=intent.at,
        )
        return [Found.model_validate(f) for f in raw]

    async def _check(self, schedd: str) -> None:
        """Make sure that looks find what must be there, before one may say "none"."""
        if self._sees:
            return
        known = await self._books.last_confirmed(schedd)
        if known is None or known.resolved_at is None:
            return
        if 0 <= clock.wall() - known.resolved_at < _CANARY_S:
            await self.prove(known)
            if not self._sees:
                raise StateError(
                    self._books.alarms.get("look", f"cannot look for {known.submission}")
                )

    async def _account(self, schedd: str, known: Intent | None, of: list[Found]) -> None:
        first, *twins = sorted(of, key=lambda f: (f.at, f.cluster))
        for twin in twins:
            text = f"{twin.submission} stood twice on {schedd}: cluster {twin.cluster} removed"
            log.error("%s", text)
            self._books.alarms[f"twin {twin.cluster}"] = text
            await self.remove(schedd, twin)
        if known is None:
            await self._adopt(schedd, first)
        elif known.state is IntentState.ABSENT:
            text = f"submission {first.submission} was taken for absent and is on {schedd}"
            log.error("%s", text)
            self._books.alarms[f"ghost {first.submission}"] = text
            await self._books.resolve(known, IntentState.CONFIRMED, text, first.cluster)

    async def _adopt(self, schedd: str, found: Found) -> None:
        text = (
            f"{found.n} pilots of {found.queue} found on {schedd}, unknown to the ledger: adopted"
        )
        log.warning("%s (cluster %s)", text, found.cluster)
        self._books.alarms[f"adopted {found.submission}"] = text
        await self._books.write(
            [
                Intent(
                    submission=found.submission,
                    queue=found.queue,
                    batch=self._batch.name,
                    submit_plugin=self._plugin,
                    schedd=schedd,
                    n=found.n,
                    epoch=self._books.state.epoch,
                    cycle=None,
                    wrapper=found.wrapper,
                    description="",
                    state=IntentState.CONFIRMED,
                    at=found.at,
                    boottime=clock.boottime(),
                    boot_id=clock.boot_id(),
                    cluster=found.cluster,
                    detail="found on the schedd, unknown to the ledger",
                    resolved_at=clock.wall(),
                    resolved_boottime=clock.boottime(),
                )
            ]
        )

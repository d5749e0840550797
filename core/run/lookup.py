"""Finding out what a batch system has of ours, when nothing could still change it."""

import logging
from collections.abc import Sequence

from core.model.errors import ApftuiError, StateError
from core.model.submission import Found, Intent, IntentState
from core.run.books import Books
from core.run.outstanding import receipt
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
        self._sees: set[str] = set()
        """Schedds on which a look has found what must be there."""

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
            self._sees.add(intent.schedd)
            detail, cluster = "found on the schedd", found[0].cluster
            return await self._books.resolve(intent, IntentState.CONFIRMED, detail, cluster)
        clusters = ", ".join(f"{f.n} in cluster {f.cluster}" for f in found)
        detail = f"asked for {intent.n} pilots once, the schedd has {clusters}"
        return await self._books.resolve(intent, IntentState.CONFLICT, detail, found[0].cluster)

    async def prove(self, confirmed: Intent) -> None:
        """Look for what must be there: a look that cannot see it must never say "none"."""
        if confirmed.schedd in self._sees:
            return
        try:
            found = await self._look(confirmed)
        except (ApftuiError, ValueError) as error:
            log.warning("%s: looking for %s: %s", confirmed.queue, confirmed.submission, error)
            return
        if found:
            self._sees.add(confirmed.schedd)
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
        strangers = []
        for submission, of in clusters.items():
            first, *twins = sorted(of, key=lambda f: (f.at, f.cluster))
            for twin in twins:
                await self._remove_twin(schedd, twin)
            if submission not in known:
                strangers.append(first)
            elif known[submission].state is IntentState.ABSENT:
                await self._count_ghost(schedd, known[submission], first)
        if strangers:
            await self._adopt(schedd, strangers)

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
        if schedd in self._sees:
            return
        known = await self._books.last_confirmed(schedd)
        if known is not None and clock.boottime() - receipt(known) < _CANARY_S:
            await self.prove(known)
            if schedd not in self._sees:
                raise StateError(
                    self._books.alarms.get("look", f"cannot look for {known.submission}")
                )

    async def _remove_twin(self, schedd: str, twin: Found) -> None:
        text = f"{twin.submission} stood twice on {schedd}: cluster {twin.cluster} removed"
        log.error("%s", text)
        self._books.alarms[f"twin {twin.cluster}"] = text
        await self.remove(schedd, twin)

    async def _count_ghost(self, schedd: str, intent: Intent, found: Found) -> None:
        text = f"submission {found.submission} was taken for absent and is on {schedd}"
        log.error("%s", text)
        self._books.alarms[f"ghost {found.submission}"] = text
        await self._books.resolve(intent, IntentState.CONFIRMED, text, found.cluster)

    async def _adopt(self, schedd: str, strangers: Sequence[Found]) -> None:
        """Take submissions that the ledger lost, or never had, for our own."""
        for found in strangers:
            log.warning(
                "%d pilots of %s found on %s (cluster %s), unknown to the ledger: adopted",
                found.n,
                found.queue,
                schedd,
                found.cluster,
            )
        # One alarm: of a lost ledger there are thousands.
        pilots = sum(found.n for found in strangers)
        self._books.alarms["adopted"] = (
            f"{pilots} pilots of {len(strangers)} submissions found on {schedd}, unknown to the"
            " ledger: adopted; the log names them"
        )
        await self._books.write([self._adopted(schedd, found) for found in strangers])

    def _adopted(self, schedd: str, found: Found) -> Intent:
        return Intent(
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

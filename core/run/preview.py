"""The preview of a change: the next pass on the present facts, with the settings proposed."""

from collections.abc import Iterator
from functools import partial

import anyio

from core.model.decision import Decision
from core.model.facts import Fact
from core.run.changes import Proposal
from core.run.decider import Decider
from core.run.generation import Generation, render_wrappers
from core.run.passes import Passes
from core.run.stops import Stopped, operators_stop
from core.run.views import Effect, Preview, ValueChange
from core.settings.schema import QueueSettings


class Previews:
    """Decides beside the passes, in a process of its own: a step that hangs costs them nothing."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self._decider = Decider()
        self._turn = anyio.Lock()

    async def close(self) -> None:
        """End the process."""
        await self._decider.worker.close()

    async def preview(
        self,
        running: Generation,
        proposal: Proposal,
        stopped: Stopped,
    ) -> Preview:
        """Return what the proposal would change; `stopped` says why a queue is stopped now.

        Raise SettingsError if a wrapper cannot be rendered any more.
        """
        proposed = Generation(
            proposal.settings, running.sources, running.submitters, running.wrappers
        )
        queues = proposed.settings.queues
        touched = {undo["queue"] for undo in proposal.action["before"]} & queues.keys()
        asked = sorted(queues if _totals_count(running, proposed) else touched)
        now = self._passes.moment(stopped)
        then = now._replace(stopped=partial(operators_stop, overrides=proposal.overrides))
        questions = (
            [now.question(running, running.settings.queues[name]) for name in asked],
            [then.question(proposed, queues[name]) for name in asked],
        )
        totals = now.totals(running)
        only = proposed.settings.model_copy(update={"queues": {n: queues[n] for n in touched}})
        await anyio.to_thread.run_sync(render_wrappers, only, running)
        async with self._turn:
            before, after = [
                [d.decision for d in await self._decider.decide(each, totals)] for each in questions
            ]
        effects = [
            Effect(
                queue=question.queue.name,
                due=self._passes.due(question),
                before=was,
                after=becomes,
                values=tuple(_changed(old.queue, question.queue)),
            )
            for old, question, was, becomes in zip(*questions, before, after, strict=True)
        ]
        return Preview(
            queues=tuple(e for e in effects if e.queue in touched),
            others=tuple(e for e in effects if e.queue not in touched and _differ(e)),
            before=sum(e.before.submit for e in effects),
            after=sum(e.after.submit for e in effects),
        )


def shortened(told: Preview, most: int) -> Preview:
    """Return at most so many effects: those that change the number of pilots most."""
    every = [*told.queues, *told.others]
    ordered = sorted(every, key=lambda e: -abs(e.after.submit - e.before.submit))
    kept = {e.queue for e in ordered[:most]}
    return told.model_copy(
        update={
            "queues": tuple(e for e in told.queues if e.queue in kept),
            "others": tuple(e for e in told.others if e.queue in kept),
            "left_out": len(every) - len(kept),
        }
    )


def _totals_count(*generations: Generation) -> bool:
    """Tell whether a queue's decision may depend on what others submit."""
    return any(Fact.TOTALS in needs for g in generations for needs in g.needs.values())


def _differ(effect: Effect) -> bool:
    def told(decision: Decision) -> tuple[int, bool, str | None]:
        return decision.submit, decision.blind, decision.bound_by

    return told(effect.before) != told(effect.after)


def _changed(before: QueueSettings, after: QueueSettings) -> Iterator[ValueChange]:
    old = {v.key: v for v in before.values}
    new = {v.key: v for v in after.values}
    for key in dict.fromkeys((*new, *old)):
        was, becomes = old.get(key), new.get(key)
        if was != becomes:
            yield ValueChange(
                key=key,
                before=was.value if was else None,
                after=becomes.value if becomes else None,
                before_layer=was.layer if was else None,
                after_layer=becomes.layer if becomes else None,
            )

"""The decider: sched plug-ins run in a worker, so that one that hangs costs its queue one pass."""

import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

from core.decision.chain import Bound, Stop
from core.decision.queues import Decided, failure
from core.model.decision import Decision
from core.model.errors import ApftuiError
from core.model.facts import Facts, Totals
from core.run.worker import Worker
from core.settings.schema import QueueSettings
from core.state import clock

log = logging.getLogger("apftui.decider")

STEP_DEADLINE_S = 5.0
"""For one queue; the first of a process also waits for its start."""

MOST_LOST_S = 15.0
"""What a pass may lose on steps that hang or break before it stops trying such steps."""

_AT_ONCE = 200
"""Queues in one message: while it is packed, the factory answers nobody."""


class Question(NamedTuple):
    """A queue that is to be decided in this pass."""

    queue: QueueSettings
    facts: Facts
    bound: Bound
    stop: Stop | None
    counted_at: float | None
    """When the poll of its batch system began (boottime); None if there is no fresh one."""


class Decider:
    """Decides all due queues of a pass in order."""

    def __init__(self) -> None:
        self.worker = Worker("decider", "decide", {})

    async def decide(self, questions: Sequence[Question], totals: Totals) -> list[Decided]:
        """Return one answer for each question, in order.

        A queue whose step hangs or kills the process does nothing. Once too much time was lost
        on such queues, the others whose chain has the same steps do nothing either in this pass,
        or it would wait for each of them.
        """
        decided: list[Decided] = []
        broken: dict[tuple[str, ...], str] = {}
        lost = 0.0
        while len(decided) < len(questions):
            left = questions[len(decided) :]
            spoilt = broken if lost > MOST_LOST_S else {}
            if (why := spoilt.get(_steps(left[0]))) is not None:
                decided.append(Decided(failure(left[0].queue.name, why), failed=True))
                continue
            run = _until_spoilt(left[:_AT_ONCE], spoilt)
            asked = clock.boottime()
            try:
                answers = self.worker.stream(
                    "decide",
                    STEP_DEADLINE_S,
                    due=[_json(q) for q in run],
                    totals=totals.model_dump(mode="json"),
                )
                async with aclosing(answers):
                    async for decision, failed in answers:
                        asked = clock.boottime()
                        answer = Decided(Decision.model_validate(decision), failed)
                        decided.append(answer)
                        if totals.pilots is not None:
                            totals = Totals(pilots=totals.pilots + answer.decision.submit)
            except ApftuiError as error:
                lost += clock.boottime() - asked
                if len(decided) >= len(questions):
                    break
                guilty = questions[len(decided)]
                chain = ", ".join(_steps(guilty))
                why = f"a step of {chain} hung or broke on queue {guilty.queue.name}: {error}"
                log.error("%s", why)
                broken[_steps(guilty)] = why
                decided.append(Decided(failure(guilty.queue.name, why), failed=True))
        return decided


def _until_spoilt(
    questions: Sequence[Question], spoilt: dict[tuple[str, ...], str]
) -> Sequence[Question]:
    for number, question in enumerate(questions):
        if _steps(question) in spoilt:
            return questions[:number]
    return questions


def _steps(question: Question) -> tuple[str, ...]:
    return tuple(link.plugin for link in question.queue.chain)


def _json(question: Question) -> dict[str, Any]:
    queue = question.queue
    return {
        "queue": queue.name,
        "chain": [[link.plugin, link.params.model_dump(mode="json")] for link in queue.chain],
        "facts": question.facts.model_dump(mode="json", exclude={"totals"}),
        "bound": question.bound,
        "stop": question.stop,
        "compat": queue.apf_compat,
    }

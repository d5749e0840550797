"""The preview is the next pass: on sources that stand still, what it said is what is decided."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.api.models import Change, ChangeRequest, Effect, Preview, QueueDetail, UndoRequest
from core.model.decision import Decision
from core.run.preview import shortened
from tests.running import Running, Site

SETTINGS = """
[factory]
name = "still"
state = "state"
cycle = 0.2

[wms.counts]
plugin = "tally"
path = "tally.json"
period = 0.2

[batch.here]
plugin = "local"
path = "pilots"
period = 0.2
slots = 1

[defaults]
wms = "counts"
batch = "here"
wrapper_parameters = { command = ["sleep", "600"] }
[defaults.sched.max-pending]
maximum = 20
[defaults.sched.max-per-cycle]
maximum = 5
[defaults.sched.min-pending]
minimum = 1
[defaults.sched.max-to-run]
maximum = 12
[defaults.sched.at-most-in-all]
maximum = 60

[queues.A]
chain = ["ready", "scale", "max-per-cycle", "max-pending"]
[queues.B]
chain = ["ready", "min-pending", "max-to-run"]
[queues.C]
chain = ["unruly", "max-per-cycle", "max-pending"]
[queues.D]
chain = ["ready", "max-pending"]
"""
TOTALS = (
    SETTINGS
    + """
[queues.E]
chain = ["ready", "at-most-in-all"]
[queues.F]
chain = ["ready", "at-most-in-all"]
"""
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "tally.json").write_text(
        json.dumps({"A": 40, "B": 30, "C": 7, "D": 10, "E": 9, "F": 9})
    )
    with Site(tmp_path, SETTINGS) as made:
        yield made


def still(factory: Running) -> None:
    """Wait until two passes in a row found nothing more to do."""

    def quiet(since: int) -> int:
        return factory.until(
            lambda s: s.factory.cycle > since
            and all(
                q.decision and not q.decision.blind and not q.decision.submit
                and not q.batch.in_flight and (q.cycle or 0) > since
                for q in s.queues
            ), 30,
        ).factory.cycle  # fmt: skip

    quiet(quiet(factory.status().factory.cycle))


def request(*changes: tuple[str, str, Any], why: str = "") -> ChangeRequest:
    made = tuple(Change(queue=queue, key=key, value=value) for queue, key, value in changes)
    return ChangeRequest(changes=made, why=why)


def preview(factory: Running, asked: ChangeRequest) -> Preview:
    return factory.post("/v1/preview", asked, Preview)


def decided(factory: Running, queue: str, since: int, unlike: Decision | None) -> Decision:
    """Return the first decision after pass `since` that is another than `unlike`."""
    end = time.monotonic() + 15
    while True:
        past = factory.get("/v1/queue", QueueDetail, name=queue).decisions
        new = [p.decision for p in reversed(past) if p.last_cycle > since]
        found = next((d for d in new if d != unlike), None)
        if found is not None:
            return found
        assert time.monotonic() < end, f"{queue}: no decision but {new}"
        time.sleep(0.05)


def apply_and_compare(factory: Running, asked: ChangeRequest) -> Preview:
    """Preview, apply, and see that each queue is decided as it was said."""
    told = preview(factory, asked)
    since = factory.status().factory.cycle
    code, answer = factory.call("POST", "/v1/changes", asked.model_dump(mode="json"))
    assert code == 200, answer
    for effect in (*told.queues, *told.others):
        unlike = effect.before if effect.before != effect.after else None
        assert decided(factory, effect.queue, since, unlike) == effect.after
    return told


# Caps up and down, below what is pending, floors, shares, blind, paused, another chain, at once.
CHANGES: list[list[tuple[str, str, Any]]] = [
    [("A", "sched.max-pending.maximum", 23)],
    [("A", "sched.max-pending.maximum", 4)],
    [("A", "sched.max-pending.maximum", None)],
    [("A", "sched.max-per-cycle.maximum", 1), ("A", "sched.max-pending.maximum", 30)],
    [("A", "sched.scale.factor", 0.1)],
    [("B", "sched.max-to-run.maximum", 14), ("D", "sched.ready.offset", 3)],
    [("B", "sched.min-pending.minimum", 50)],
    [("B", "chain", ["ready", "max-pending"])],
    [("C", "sched.unruly.does", "raise"), ("C", "sched.unruly.at", 7)],
    [("A", "sched.max-pending.maximum", 60), ("A", "paused", True), ("B", "paused", True)],
]  # fmt: skip


@pytest.mark.usefixtures("extras")
def test_the_next_decision_is_what_the_preview_said(site: Site) -> None:
    factory = site.start()
    still(factory)
    submitted = 0
    for changes in CHANGES:
        told = apply_and_compare(factory, request(*changes, why="night"))
        assert {e.queue for e in told.queues} == {queue for queue, _, _ in changes}
        submitted += sum(e.after.submit for e in told.queues)
        if told.queues[0].after.blind:
            assert changes[0][2] == "raise"
            assert factory.change("C", "sched.unruly.does", None)[0] == 200
        still(factory)
    assert submitted > 10, "some of the changes brought pilots"
    assert told.queues[0].after.steps[-1].plugin == "paused"
    assert told.queues[0].after.steps[-1].reason.endswith(": night")


@pytest.mark.usefixtures("extras")
def test_what_the_wms_was_not_asked_yet_is_said_to_be_unknown(site: Site) -> None:
    factory = site.start()
    still(factory)
    (effect,) = preview(factory, request(("D", "wms_queue", "B"))).queues
    assert not effect.after.blind, "it is asked for B"
    (effect,) = preview(factory, request(("D", "wms_queue", "NOBODY"))).queues
    assert effect.after.blind_because == (
        "activated is unknown: counts has not been asked for NOBODY yet"
    )


@pytest.mark.usefixtures("extras")
def test_what_a_changed_queue_takes_moves_the_totals_of_the_next(site: Site) -> None:
    site.write(TOTALS)
    factory = site.start()
    still(factory)
    # E and F have all they want: 9 each. A takes more, and 60 in all are soon reached.
    assert preview(factory, request(("D", "sched.max-pending.maximum", 9))).others == ()
    told = apply_and_compare(
        factory,
        request(("E", "sched.at-most-in-all.maximum", 50), ("F", "sched.ready.offset", 0)),
    )
    assert [e.queue for e in told.queues] == ["E", "F"]
    seed = random.Random(20261125)
    for _ in range(6):
        still(factory)
        told = apply_and_compare(
            factory,
            request(
                ("A", "sched.max-pending.maximum", seed.randrange(10, 50)),
                ("A", "sched.max-per-cycle.maximum", seed.randrange(1, 30)),
                ("B", "sched.max-to-run.maximum", seed.randrange(5, 40)),
                ("F", "sched.at-most-in-all.maximum", seed.randrange(20, 90)),
            ),
        )


@pytest.mark.usefixtures("extras")
def test_others_that_would_be_decided_otherwise_are_named(site: Site) -> None:
    queues = """
[queues.A]
paused = true
chain = ["ready", "max-per-cycle", "max-pending"]
[queues.F]
chain = ["fixed", "at-most-in-all"]
[queues.F.sched.fixed]
pilots_per_cycle = 3
[queues.G]
chain = ["ready", "max-pending"]
"""
    text = SETTINGS.partition("[queues.A]")[0] + queues
    # One pass, and then none for an hour: F has sent 3, and may send 3 more of 9 in all.
    site.write(text.replace("maximum = 60", "maximum = 9").replace("cycle = 0.2", 'cycle = "1h"'))
    factory = site.start()
    factory.until(lambda s: s.queues[1].running == 1 and s.queues[1].pending == 2)
    asked = request(("A", "paused", False))
    told = preview(factory, asked)
    assert [(e.queue, e.due, e.after.submit) for e in told.queues] == [("A", True, 5)]
    (other,) = told.others
    assert (other.queue, other.before.submit, other.after.submit) == ("F", 3, 1)
    assert other.after.bound_by == "at-most-in-all"
    # Nothing was written: no action, no override.
    assert factory.call("GET", "/v1/actions")[1] == []
    assert not (site.state / "overrides.toml").exists()


@pytest.mark.usefixtures("extras")
def test_a_step_that_hangs_in_the_preview_costs_the_passes_nothing(site: Site) -> None:
    factory = site.start()
    still(factory)
    before = factory.status().factory.cycle
    began = time.monotonic()
    hang = request(("C", "sched.unruly.does", "hang"), ("C", "sched.unruly.at", 7))
    body = hang.model_dump(mode="json")
    code, answer = factory.call("POST", "/v1/preview", body, deadline=30)
    assert code == 200, answer
    assert time.monotonic() - began > 4, "it did hang"
    (effect,) = Preview.model_validate(answer).queues
    assert effect.after.blind
    assert "hung" in (effect.after.blind_because or "")
    assert factory.status().factory.cycle - before > 8, "passes went on all the while"
    assert preview(factory, request(("A", "paused", True))).queues[0].after.submit == 0


@pytest.mark.usefixtures("extras")
def test_it_refuses_what_the_change_would_refuse(site: Site) -> None:
    factory = site.start()
    still(factory)
    seen = factory.queue("A").revision
    for change, said in (
        (("A", "sched.max-pending.maximum", -1), "sched.max-pending.maximum"),
        (("A", "sched.max-pending.maximum", -1), "greater than or equal to 0"),
        (("A", "sched.max-pending.maximum", "x"), "without quotes"),
        (("A", "sched.max-pending.maxmum", 1), "did you mean maximum?"),
        (("A", "sched.max-pendin.maximum", 1), "did you mean max-pending?"),
        (("A", "wrapper_parameters.comand", "x"), "did you mean command?"),
        (("AA", "paused", True), "did you mean A?"),
    ):
        code, answer = factory.call("POST", "/v1/preview", request(change).model_dump(mode="json"))
        assert code in (400, 404)
        assert said in answer["error"]
    assert factory.change("A", "sched.max-pending.maximum", 19)[0] == 200
    late = Change(queue="A", key="sched.max-pending.maximum", value=50, revision=seen)
    code, answer = factory.call(
        "POST", "/v1/preview", ChangeRequest(changes=(late,)).model_dump(mode="json")
    )
    assert code == 409
    assert answer["diff"] == ["sched.max-pending.maximum: 20 (defaults) -> 19 (override)"]


@pytest.mark.usefixtures("extras")
def test_an_undo_has_a_preview_too(site: Site) -> None:
    factory = site.start()
    still(factory)
    _, action = factory.change("A", "sched.max-pending.maximum", 25)
    still(factory)
    asked = UndoRequest(action=action["id"][:8])
    told = factory.post("/v1/preview-undo", asked, Preview)
    (effect,) = told.queues
    assert effect.before.submit == effect.after.submit == 0
    assert any("at most 20 pending" in step.reason for step in effect.after.steps)
    (value,) = effect.values
    assert (value.key, value.before, value.after, value.after_layer) == (
        "sched.max-pending.maximum", 25, 20, "defaults",
    )  # fmt: skip


def test_a_preview_of_many_is_shortened_to_those_that_change_most() -> None:
    def effect(queue: str, before: int, after: int) -> Effect:
        return Effect(
            queue=queue,
            due=True,
            before=Decision(queue=queue, submit=before),
            after=Decision(queue=queue, submit=after),
        )

    told = Preview(
        queues=(effect("A", 0, 1), effect("B", 9, 2), effect("C", 5, 5)),
        others=(effect("D", 3, 0),),
        before=17,
        after=8,
    )
    short = shortened(told, 2)
    assert ([e.queue for e in short.queues], [e.queue for e in short.others]) == (["B"], ["D"])
    assert (short.left_out, short.before, short.after) == (2, 17, 8)
    assert shortened(told, 4) == told

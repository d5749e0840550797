"""An operator's stops on a real factory: drained to the last pilot, paused, resumed, expired."""

import re
import time
from collections.abc import Iterator

import pytest

from core.api.models import QueueDetail, QueueStatus
from plugins.local import pilots, removal
from tests.running import Running, Site, local_settings, sleepers
from tests.typed import Answer, apftui

CLOSED = "[queues.CLOSED]\ndrain = true\n"
BATCH = """slots = 8
max_age = "1s"
[batch.second]
plugin = "local"
path = "second"
period = 0.2
slots = 1
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """S keeps two pilots, and CLOSED has work that its settings let no pilot come for."""
    text = local_settings(sleepers("S", 2) + CLOSED, batch=BATCH)
    with Site(tmp_path_factory.mktemp("stops"), text) as made:
        made.payload("CLOSED")
        yield made


@pytest.fixture(scope="module")
def factory(site: Site) -> Running:
    running = site.start()
    running.until(lambda s: all(q.decision for q in s.queues))
    running.until(lambda _: running.queue("S").running == 2)
    return running


def typed(factory: Running, *words: str) -> Answer:
    done = apftui("queue", *words, "--config", factory.site.config)
    assert done.code == 0, done.err
    return done


def comes(factory: Running, queue: str, state: str) -> QueueStatus:
    factory.until(lambda _: factory.queue(queue).state == state)
    return factory.queue(queue)


def setting(factory: Running, queue: str, key: str) -> tuple[object, str]:
    detail = factory.get("/v1/queue", QueueDetail, name=queue)
    return next((v.value, v.layer) for v in detail.settings if v.key == key)


def end_pilots(site: Site, queue: str) -> None:
    for submission in pilots.live(site.pilots):
        if submission.job.queue == queue:
            removal.remove(submission.pilots())


def test_a_queue_drains_until_its_last_pilot_has_ended(factory: Running) -> None:
    done = typed(factory, "drain", "S", "--why", "the site closes", "--for", "1h")
    assert "S: drain false → true\n" in done.out
    assert "drain S: applied\n" in done.out
    row = factory.queue("S")
    assert (row.state, row.running) == ("draining", 2)
    said = r"2 pilots are left; drain set by .+: the site closes"
    assert re.fullmatch(said, row.reason), row.reason
    action = factory.get("/v1/queue", QueueDetail, name="S").actions[0]
    assert (action.what, action.why) == ("drain S", "the site closes")
    assert action.until is not None
    assert 3500 < action.until - time.time() <= 3600

    # Who may be there, as nobody can tell, has not gone.
    factory.site.pilots.chmod(0o777)
    unknown = comes(factory, "S", "draining")
    factory.until(lambda _: factory.queue("S").reason.startswith("pilots are unknown: "))
    unknown = factory.queue("S")
    assert (unknown.state, unknown.running) == ("draining", None)
    factory.site.pilots.chmod(0o700)
    factory.until(lambda _: factory.queue("S").running == 2)

    sent = len(factory.settled())
    end_pilots(factory.site, "S")
    drained = comes(factory, "S", "drained")
    assert drained.reason.startswith("no pilots are left; drain set by ")
    cycle = factory.status().factory.cycle
    factory.until(lambda s: s.factory.cycle > cycle + 3)
    row = factory.queue("S")
    assert (row.state, row.pending, row.running) == ("drained", 0, 0)
    assert row.decision is not None
    assert (row.decision.submit, row.decision.bound_by) == (0, "draining")
    assert [(s.plugin, s.in_, s.out) for s in row.decision.steps][-1] == ("draining", 2, 0)
    assert row.decision.steps[-1].reason in drained.reason
    assert len(factory.settled()) == sent
    told = apftui("explain", "S", "--config", factory.site.config).out
    assert re.search(
        r"why +0 pilots, drained: no pilots are left; drain set by .+: the site", told
    ), told

    # A pause is the stronger word; resume ends both.
    typed(factory, "pause", "S")
    assert factory.queue("S").state == "paused"
    done = typed(factory, "resume", "S")
    assert "resume S; end drain of S: applied\n" in done.out
    assert factory.queue("S").state == "ok"
    factory.until(lambda _: factory.queue("S").running == 2)


def test_a_drain_of_the_settings_and_one_on_top_of_it(factory: Running) -> None:
    row = comes(factory, "CLOSED", "drained")
    assert row.reason == "no pilots are left; drain set in the settings"
    assert row.decision is not None
    assert (row.decision.submit, row.decision.bound_by) == (0, "draining")
    assert row.activated == 1
    plan = apftui("plan", "--json", "--config", factory.site.config).json
    assert [d["bound_by"] for d in plan if d["queue"] == "CLOSED"] == ["draining"]
    assert (
        "CLOSED: ready, max-pending (drain)" in apftui("check", "--config", factory.site.config).out
    )
    typed(factory, "drain", "CLOSED")
    assert setting(factory, "CLOSED", "drain") == (True, "override")
    typed(factory, "resume", "CLOSED")
    assert setting(factory, "CLOSED", "drain") == (False, "override"), "its settings drain it"
    factory.until(lambda _: factory.queue("CLOSED").activated == 0)
    nothing = typed(factory, "resume", "CLOSED")
    assert nothing.out == "nothing to resume: neither paused nor draining\n"


def test_pilots_on_the_batch_system_that_a_queue_had_before_are_not_forgotten(
    factory: Running,
) -> None:
    typed(factory, "drain", "S")
    typed(factory, "set", "S", "batch=second")
    factory.until(lambda _: factory.queue("S").batch.age_s is not None)
    row = factory.queue("S")
    assert (row.state, row.batch_name, row.running) == ("draining", "second", 0)
    assert row.reason.startswith("2 pilots are left; drain set by ")
    typed(factory, "set", "S", "sched.fixed.pilots_per_cycle=0")
    typed(factory, "resume", "S")
    row = factory.queue("S")
    assert (row.state, row.reason) == (
        "ok",
        "2 pilots are left on the batch system that it had before",
    )
    typed(factory, "unset", "S", "batch", "sched.fixed.pilots_per_cycle")
    assert factory.queue("S").running == 2
    assert factory.queue("S").reason == ""


def test_a_drained_queue_that_leaves_the_settings_is_gone(factory: Running) -> None:
    typed(factory, "drain", "S")
    factory.site.write(local_settings(CLOSED, batch=BATCH))
    assert apftui("reload", "--config", factory.site.config).out == (
        "settings read again: removed S\n"
    )
    row = factory.queue("S")
    assert (row.state, row.reason) == (
        "draining",
        "not in the settings any more, 2 pilots left",
    )
    end_pilots(factory.site, "S")
    factory.until(lambda s: [q.name for q in s.queues] == ["CLOSED"])

"""Pilots as the batch plug-in counts them, held against HTCondor's own tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from core.model.answers import BatchCount

from .condor import CondorPool
from .htcondor_child import CallError, Child
from .htcondor_site import Site, at
from .sandbox import until

NOWHERE = {"requirements": "false"}
HELD = {"hold": True}
GROUP_BY = 2


@pytest.fixture
def site(pool: CondorPool) -> Iterator[Site]:
    with at(pool) as site:
        yield site


def by_condor_q(site: Site) -> Counter[tuple[str, int]]:
    return Counter((ad["APFQueue"], ad["JobStatus"]) for ad in site.queue("APFQueue", "JobStatus"))


def test_counts_are_those_of_condor_q_and_cost_one_query(site: Site) -> None:
    with site.child("submit") as submit:
        site.send(submit, 3, NOWHERE, queue="A")
        site.send(submit, 2, attributes=HELD, queue="A")
        site.send(submit, 2, queue="A")
        site.send(submit, 1, script="#!/bin/sh\n", queue="A")
        site.send(submit, 4, NOWHERE, queue='B/with "quotes" and \\ and ü')
    settled = {("A", 1): 3, ("A", 5): 2, ("A", 2): 2, ("A", 4): 1}
    settled['B/with "quotes" and \\ and ü', 1] = 4
    until(lambda: by_condor_q(site) == settled, f"{settled} in condor_q", 30)
    with site.child("batch") as batch:
        answer = batch.poll(site.factory)
        # One query counts; a second, bounded one asks why the held are held.
        assert batch.call("options_of_poll", site.factory, "here") == [GROUP_BY, 0]
    assert answer.schedd == site.schedd
    assert answer.foreign == ()
    assert [c.hold_reason != "" for c in answer.counts] == [True, False]
    assert tuple(c.model_copy(update={"hold_reason": ""}) for c in answer.counts) == (
        BatchCount(queue="A", pending=3, held=2, running=2, leaving=1),
        BatchCount(queue='B/with "quotes" and \\ and ü', pending=4),
    )
    assert by_condor_q(site) == settled, "not quiet: the comparison says nothing"


def test_a_factory_without_pilots_has_none(site: Site) -> None:
    with site.child("batch") as batch:
        answer = batch.poll(site.factory)
    assert (answer.counts, answer.foreign) == ((), ())


def test_factories_with_equal_queue_names_never_count_each_other(
    site: Site, pool: CondorPool
) -> None:
    shouting = site.factory.upper()
    with at(pool) as other, site.child("submit") as submit, site.child("batch") as batch:
        site.send(submit, 2, NOWHERE)
        other.send(submit, 3, NOWHERE)
        site.send(submit, 4, NOWHERE, factory=shouting)
        assert batch.poll(site.factory).counts == (BatchCount(queue="Q", pending=2),)
        assert batch.poll(other.factory).counts == (BatchCount(queue="Q", pending=3),)
        assert batch.poll(shouting).counts == (BatchCount(queue="Q", pending=4),)


def test_each_schedd_counts_its_own(pool: CondorPool) -> None:
    with at(pool) as first, at(pool, 1) as second:
        second.factory = first.factory
        for site, n in ((first, 1), (second, 2)):
            with site.child("submit") as submit, site.child("batch") as batch:
                site.send(submit, n, NOWHERE)
                answer = batch.poll(site.factory)
            assert answer.schedd == site.schedd
            assert answer.counts == (BatchCount(queue="Q", pending=n),)
        second.rm("-forcex")


def test_another_instance_under_our_name_is_told_and_not_counted(site: Site) -> None:
    with site.child("submit") as submit, site.child("batch") as batch:
        site.send(submit, 1, NOWHERE)
        site.send(submit, 2, NOWHERE, instance="there")
        answer = batch.poll(site.factory)
        assert answer.counts == (BatchCount(queue="Q", pending=1),)
        assert answer.foreign == ("there",)
        assert batch.poll(site.factory, "there").foreign == ("here",)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("APFInstance", "undefined"), "jobs without APFInstance"),
        (("APFQueue", "undefined"), "here (jobs without APFQueue)"),
        (("APFQueue", "strcat(Owner, 1)"), "here (jobs without APFQueue)"),
        (("APFInstance", '"\x1b]52;c;eA==\x07[/x]"'), "\\x1b]52;c;eA==\\x07[/x]"),
    ],
)
def test_pilots_that_lost_or_changed_their_marks_are_told(
    site: Site, change: tuple[str, str], told: str
) -> None:
    """Never left out: a site that drops our marks would get new pilots for ever."""
    with site.child("submit") as submit, site.child("batch") as batch:
        sent = site.send(submit, 2, NOWHERE)
        site.qedit(sent.cluster, *change)
        answer = batch.poll(site.factory)
    assert (answer.counts, answer.foreign) == ((), (told,))


def test_a_schedd_must_be_named_where_there_are_two(site: Site) -> None:
    with site.child("batch", schedd=None) as batch, pytest.raises(CallError) as raised:
        batch.poll(site.factory)
    assert raised.value.kind == "SourceError"
    assert all(name in str(raised.value) for name in site.pool.schedds)
    assert "`schedd`" in str(raised.value)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"schedd": 'no" || true || "'}, ['no schedd no" || true || "', "second@"]),
        ({"pool": "127.0.0.1:1"}, ["127.0.0.1:1", "`pool`"]),
        ({"token_directory": "/no/such"}, ["/no/such", "token_directory"]),
    ],
)
def test_a_wrong_table_is_told_with_its_cure(
    site: Site, changed: dict[str, Any], words: list[str]
) -> None:
    with site.child("batch", **changed) as batch, pytest.raises(CallError) as raised:
        batch.poll(site.factory)
    assert raised.value.kind == "SourceError"
    assert all(word in str(raised.value) for word in words), raised.value


def test_the_hosts_own_configuration_names_collector_and_schedd(site: Site) -> None:
    own = site.folder / "condor_config"
    named = f"NETWORK_HOSTNAME = {site.pool.schedds[0]}\n"
    own.write_text(site.pool.condor_config.read_text() + named)
    with Child("batch", {}, {"CONDOR_CONFIG": str(own)}) as batch:
        answer = batch.poll(site.factory)
    assert answer.schedd == site.pool.schedds[0]


def test_a_stopped_schedd_holds_only_the_process_that_asked_it(site: Site) -> None:
    with site.child("batch") as batch, site.child("batch") as patient:
        assert patient.poll(site.factory).counts == ()
        site.pool.pause_schedd(site.schedd)
        try:
            batch.start("poll", site.factory, "here", limit=1)
            with pytest.raises(EOFError, match="-14"):
                batch.result()
            patient.start("poll", site.factory, "here")
        finally:
            site.pool.continue_schedd(site.schedd)
        assert patient.result()["schedd"] == site.schedd
    with site.child("batch") as batch:
        assert batch.poll(site.factory).schedd == site.schedd


def test_a_restarted_schedd_is_asked_again_in_the_same_process(site: Site) -> None:
    with site.child("submit") as submit, site.child("batch") as batch:
        sent = site.send(submit, 2, NOWHERE)
        before = batch.poll(site.factory)
        assert submit.look(site.schedd, "not-there") == []
        site.pool.kill_schedd(site.schedd)
        with pytest.raises(CallError) as raised:
            batch.poll(site.factory)
        assert raised.value.kind == "SourceError"
        assert site.schedd in str(raised.value)
        site.pool.wait_schedd(site.schedd)
        assert batch.poll(site.factory) == before
        assert submit.look(site.schedd, "not-there") == []
        assert [found.n for found in submit.look(site.schedd, sent.submission)] == [2]

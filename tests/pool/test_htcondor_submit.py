"""Pilots as the submit plug-in hands them over and finds them again."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.model.submission import Found

from .client import submit
from .condor import CondorPool
from .htcondor_child import CallError
from .htcondor_site import Sent, Site, at
from .sandbox import until

NOWHERE = {"requirements": "false"}
ENDS_AT_ONCE = "#!/bin/sh\n"
# Not `env`: its lines could not be told from those of a value.
TELLS_ITS_ENVIRONMENT = "#!/bin/sh\ncat /proc/$$/environ\n"
HOSTILE = [
    "\"double\" 'single' \"\"'' it's",
    "$(Cluster) $(DOLLAR_) $ENV(HOME) $F(x) ${HOME} $HOME $(x",
    "`id` $((1+1)) ; id | id && id > /tmp/x # id",
    "back\\slash \\n \\033 \\x41 end\\",
    '\\" \\\\" \\',
    "\x1b[31mred \x1b]52;c;eA==\x07",
    "{{ 7*7 }} {% raw %} [/x] [bold]",
    "  tab\tblanks  ",
    "ü ☃ \u2028 \x85",
    "= , : @=end",
    "",
]


@pytest.fixture
def site(pool: CondorPool) -> Iterator[Site]:
    with at(pool) as site:
        yield site


def forget(site: Site) -> None:
    """Let the schedd drop the jobs now, from its queue to its history."""
    site.rm()
    site.rm("-forcex")
    until(lambda: not site.queue("ClusterId"), "an empty queue", 30)


def found(sent: Sent, n: int) -> dict[str, Any]:
    return {"submission": sent.submission, "cluster": str(sent.cluster), "n": n}


def identity(each: Found) -> dict[str, Any]:
    return each.model_dump(include={"submission", "cluster", "n"})


def test_what_the_job_gets_is_what_was_written(site: Site) -> None:
    environment = {f"H{i}": text for i, text in enumerate(HOSTILE)}
    attributes: dict[str, Any] = {f"+h{i}": text for i, text in enumerate(HOSTILE)}
    attributes |= {"+xcount": 8, "My.share": 0.5, "+Yes": True, "+queue": "atlas"}
    attributes |= {"accounting_group": "group_$(Process)", "priority": 3}
    queue = "".join(c for c in HOSTILE[0] + HOSTILE[1] + HOSTILE[3] if c.isprintable())
    with site.child("submit") as plugin:
        sent = site.send(
            plugin,
            2,
            {"request_memory": 11, "request_disk": 12, "requirements": "TARGET.Memory > 0"},
            script=TELLS_ITS_ENVIRONMENT,
            queue=queue,
            environment=environment,
            attributes=attributes,
        )
    until(lambda: {ad["JobStatus"] for ad in site.queue("JobStatus")} == {4}, "its end", 30)
    ads = {ad["ProcId"]: ad for ad in site.queue()}
    assert sorted(ads) == [0, 1]
    for proc, ad in ads.items():
        assert {key: ad[key] for key in ad if re.fullmatch(r"h\d+", key)} == {
            f"h{i}": text for i, text in enumerate(HOSTILE)
        }
        assert (ad["xcount"], ad["share"], ad["Yes"], ad["queue"]) == (8, 0.5, True, "atlas")
        assert (ad["AcctGroup"], ad["JobPrio"]) == (f"group_{proc}", 3)
        assert (ad["RequestMemory"], ad["RequestDisk"]) == (11, 12)
        assert ad["APFQueue"] == ad["MATCH_APF_QUEUE"] == ad["APF_QUEUE"] == queue
        assert (ad["APFFactory"], ad["APFInstance"]) == (site.factory, "here")
        assert (ad["APFSubmission"], ad["APFWrapper"]) == (sent.submission, "0123abcd")
        assert (ad["Owner"], ad["JobUniverse"], ad["Iwd"]) == ("apf", 5, str(site.folder))
        assert ad["TotalSubmitProcs"] == 2
        got = printed_environment(site.folder / f"{sent.cluster}.{proc}.out")
        assert {name: got[name] for name in environment} == environment
        assert got["FACTORYQUEUE"] == queue
        assert got["APFFID"] == got["PANDA_JSID"] == site.factory
        assert got["APFCID"] == f"{sent.cluster}.{proc}"
        assert got["FACTORY_JOBID"].endswith(f"#{sent.cluster}.{proc}")
        assert got["APF_PILOT"] == f"{sent.submission}.{proc}"
        assert (site.folder / f"{sent.cluster}.{proc}.log").stat().st_size > 0
        assert (site.folder / f"{sent.cluster}.{proc}.err").read_text() == ""


def printed_environment(path: Path) -> dict[str, str]:
    pairs = path.read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


def test_only_what_fails_before_the_schedd_is_asked_is_called_refused(site: Site) -> None:
    job = site.job(3)
    with site.child("submit") as plugin:
        for params in (
            {"requirements": "((("},
            {"periodic_remove": "JobStatus =="},
        ):
            with pytest.raises(CallError) as raised:
                plugin.submit(site.schedd, plugin.describe(job, **params), 3)
            assert raised.value.kind == "HTCondorException"
            assert "Parse error in expression" in str(raised.value)
        description = plugin.describe(job)
        with pytest.raises(CallError) as raised:
            plugin.submit("nobody@nowhere", description, 3)
        assert raised.value.kind == "SubmitRefused"
        assert "no schedd nobody@nowhere" in str(raised.value)
        assert plugin.look(site.schedd, job.submission) == []
        assert plugin.submit(site.schedd, description, 3).n == 3
        assert len(plugin.look(site.schedd, job.submission)) == 1


def test_a_look_finds_pilots_waiting_ended_and_gone(site: Site) -> None:
    before = time.time()
    with site.child("submit") as plugin:
        waiting = site.send(plugin, 3, NOWHERE)
        ended = site.send(plugin, 2, script=ENDS_AT_ONCE)
        (seen,) = plugin.look(site.schedd, waiting.submission, before)
        assert identity(seen) == found(waiting, 3)
        assert (seen.queue, seen.wrapper) == ("Q", "0123abcd")
        assert abs(seen.at - before) < 60
        here = f"ClusterId == {ended.cluster} && JobStatus == 4"
        until(lambda: len(site.queue("ProcId", constraint=here)) == 2, "their end", 30)
        looked = [plugin.look(site.schedd, ended.submission, before)]
        forget(site)
        looked.append(plugin.look(site.schedd, ended.submission, before))
        assert [[identity(each) for each in look] for look in looked] == [[found(ended, 2)]] * 2
        gone = plugin.look(site.schedd, waiting.submission, before)
        assert [identity(each) for each in gone] == [found(waiting, 3)]
        # Its day is over: nothing that old is read.
        assert plugin.look(site.schedd, "f" * 32, before) == []


def test_a_look_reads_past_jobs_that_ended_long_ago_and_left_just_now(site: Site) -> None:
    """Such a record is the latest of the history, with a date from before the submission."""
    long_ago = int(time.time()) - 10 * 86400
    cluster = submit(site.pool, site.schedd, arguments="0", leave_in_queue="Fetched =!= true")
    theirs = f"ClusterId == {cluster}"
    with site.child("submit") as plugin:
        ours = site.send(plugin, 2, NOWHERE)
        forget(site)
        ended = f"{theirs} && JobStatus == 4"
        until(lambda: site.pool.queue(site.schedd, ended, ["ProcId"]), "its end", 30)
        change = ["EnteredCurrentStatus", str(long_ago), "Fetched", "true"]
        site.qedit(cluster, *change)
        until(lambda: not site.pool.queue(site.schedd, theirs, ["ProcId"]), "its leaving", 90)
        history = site.pool.history(site.schedd, "true", ["ClusterId", "EnteredCurrentStatus"])
        assert history[0] == {"ClusterId": cluster, "EnteredCurrentStatus": long_ago}
        (seen,) = plugin.look(site.schedd, ours.submission, time.time() - 60)
    assert identity(seen) == found(ours, 2)


def test_a_look_counts_what_was_submitted_not_what_is_left(site: Site) -> None:
    with site.child("submit") as plugin:
        sent = site.send(plugin, 5, NOWHERE)
        for options in ([], ["-forcex"]):
            site.tool("condor_rm", *options, f"{sent.cluster}.0", f"{sent.cluster}.3")
        until(lambda: len(site.queue("ProcId")) == 3, "three left", 30)
        (seen,) = plugin.look(site.schedd, sent.submission)
    assert identity(seen) == found(sent, 5)


def test_a_submission_that_came_in_twice_is_found_twice(site: Site) -> None:
    job = site.job(2)
    with site.child("submit") as plugin:
        description = plugin.describe(job, **NOWHERE)
        clusters = [plugin.submit(site.schedd, description, 2).cluster for _ in range(2)]
        seen = plugin.look(site.schedd, job.submission)
    assert [each.cluster for each in seen] == clusters


def test_a_look_after_the_death_of_a_submitter_is_final(site: Site) -> None:
    """Killed at any moment of the call: all n pilots or none, and the first look knows which."""
    n, usual = 40, 0.0
    chance = random.Random()
    looks: dict[str, list[Found]] = {}
    with site.child("submit") as looker:
        for turn in range(33):
            job = site.job(n)
            with site.child("submit") as plugin:
                description = plugin.describe(job, **NOWHERE)
                plugin.look(site.schedd, job.submission)  # connected, as a worker mostly is
                begin = time.monotonic()
                plugin.start("submit", site.schedd, description, n)
                if turn < 3:
                    plugin.result()
                    usual = max(usual, time.monotonic() - begin)
                else:
                    time.sleep(chance.uniform(0, 1.2 * usual))
                plugin.kill()
            looks[job.submission] = looker.look(site.schedd, job.submission, time.time())
        assert {tuple(each.n for each in look) for look in looks.values()} == {(), (n,)}
        for submission, look in looks.items():
            assert looker.look(site.schedd, submission, time.time()) == look
    rows = site.queue("APFSubmission")
    for submission, look in looks.items():
        assert rows.count({"APFSubmission": submission}) == (n if look else 0)


def test_a_sweep_lists_every_submission_of_this_instance_alone(
    site: Site, pool: CondorPool
) -> None:
    with at(pool) as other, site.child("submit") as plugin:
        first = site.send(plugin, 1, NOWHERE)
        second = site.send(plugin, 4, NOWHERE, queue="R")
        site.send(plugin, 1, NOWHERE, instance="there")
        other.send(plugin, 1, NOWHERE)
        swept = plugin.sweep(site.schedd, site.factory)
    assert [identity(each) for each in swept] == [found(first, 1), found(second, 4)]
    assert [each.queue for each in swept] == ["Q", "R"]


def test_remove_takes_one_cluster_and_only_if_it_is_that_submission(site: Site) -> None:
    with site.child("submit") as plugin:
        sent, other = site.send(plugin, 2, NOWHERE), site.send(plugin, 2, NOWHERE)
        (theirs,) = plugin.look(site.schedd, other.submission)
        plugin.remove(site.schedd, theirs.model_copy(update={"cluster": str(sent.cluster)}))
        assert {ad["JobStatus"] for ad in site.queue("JobStatus")} == {1}
        plugin.remove(site.schedd, theirs)
        plugin.remove(site.schedd, theirs)
        left = {ad["ClusterId"] for ad in site.queue("ClusterId", constraint="JobStatus == 1")}
        assert left == {sent.cluster}


def test_without_the_right_token_nothing_is_removed_and_that_is_said(
    site: Site, tmp_path: Path
) -> None:
    with site.child("submit") as plugin:
        sent = site.send(plugin, 2, NOWHERE)
        (seen,) = plugin.look(site.schedd, sent.submission)
    with (
        site.child("submit", token_directory=str(tmp_path)) as stranger,
        pytest.raises(CallError) as raised,
    ):
        stranger.remove(site.schedd, seen)
    assert raised.value.kind == "SourceError"
    assert "token_directory" in str(raised.value)
    assert {ad["JobStatus"] for ad in site.queue("JobStatus")} == {1}

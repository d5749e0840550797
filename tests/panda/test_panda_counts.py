"""What SQL puts into PanDA's tables is what the factory's status says, and why it is not more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.model.answers import WmsCount, WmsQuery
from plugins.wms.panda import PandaParams, PandaWms
from tests.running import REPOSITORY, Running

from .panda_site import counted, panda_site
from .server import PandaServer

EVERY = """
[queues.All]
wms_queue = "Q"
[queues.Mcore]
wms_queue = "Q"
resource_type = "MCORE"
[queues.Managed]
wms_queue = "Q"
labels = ["managed"]
[queues.ManagedMcore]
wms_queue = "Q"
resource_type = "MCORE"
labels = ["managed", "prod_test"]
[queues.Himem]
wms_queue = "Q"
resource_type = "SCORE_HIMEM"
"""


@contextmanager
def running(tmp_path: Path, panda: PandaServer, queues: str) -> Iterator[Running]:
    with panda_site(tmp_path, panda.url, queues) as site:
        yield site.start()


def poll(panda: PandaServer, *queries: WmsQuery) -> list[WmsCount]:
    return list(PandaWms(PandaParams(url=panda.url)).poll(queries).counts)


def test_counts_by_resource_type_and_label_are_in_the_status(
    panda: PandaServer, tmp_path: Path
) -> None:
    panda.queue("Q", "Empty")
    panda.jobs("Q", "SCORE", "managed", activated=1, sent=10, starting=20, running=30)
    panda.jobs("Q", "SCORE", "user", activated=2, holding=5)
    panda.jobs("Q", "MCORE", "managed", activated=4, running=7, transferring=3)
    panda.jobs("Q", "MCORE", "prod_test", activated=8)
    panda.jobs("Q", "MCORE", "user", activated=16)
    panda.jobs("Q", None, None, activated=32)
    with running(tmp_path, panda, EVERY + "[queues.Empty]") as factory:
        counted(factory, "All", 63)
        rows = {row.name: row for row in factory.status().queues}
        assert {name: row.activated for name, row in rows.items()} == {
            "All": 63,
            "Mcore": 28,
            "Managed": 5,
            "ManagedMcore": 12,
            "Himem": 0,
            "Empty": 0,
        }
        assert rows["All"].wms.running == 67
        assert rows["Managed"].wms.running == 67
        assert rows["ManagedMcore"].wms.running == 7
        assert {row.wms.status for row in rows.values()} == {"online"}
        assert {row.state for row in rows.values()} == {"ok"}
        panda.jobs("Q", "MCORE", "managed", activated=1004)
        assert counted(factory, "ManagedMcore", 1012).wms.running == 0


def test_states_that_no_formula_knows_are_shown_and_not_counted(
    panda: PandaServer, tmp_path: Path
) -> None:
    panda.queue("Q")
    panda.jobs(
        "Q", activated=6, running=1, holding=3, transferring=2, merging=4, assigned=9, weird=5
    )
    with running(tmp_path, panda, "[queues.Q]") as factory:
        row = counted(factory, "Q", 6)
        assert row.wms.running == 1
        # The server itself leaves merging out.
        assert row.wms.other == {"holding": 3, "transferring": 2, "assigned": 9, "weird": 5}
        assert "weird 5" in apftui(factory, "explain", "Q")
        told = json.loads(apftui(factory, "status", "--json"))["queues"][0]
        assert told["wms"]["other"]["weird"] == 5


def test_in_a_test_queue_only_test_jobs_count_and_it_says_why(
    panda: PandaServer, tmp_path: Path
) -> None:
    panda.queue("Q", status="test")
    panda.jobs("Q", "SCORE", "managed", activated=100, running=3)
    panda.jobs("Q", "SCORE", "prod_test", activated=4)
    panda.jobs("Q", "SCORE", "rc_test2", activated=2)
    queues = """
[queues.All]
wms_queue = "Q"
[queues.Managed]
wms_queue = "Q"
labels = ["managed"]
[queues.Rc]
wms_queue = "Q"
labels = ["rc_test2"]
"""
    with running(tmp_path, panda, queues) as factory:
        row = counted(factory, "Managed", 4)
        assert row.state == "ok"
        assert row.wms.status == "test"
        assert row.reason == row.wms.note
        assert "100 activated not counted: while its status is test" in row.reason
        assert row.wms.running == 3
        assert counted(factory, "All", 4).wms.note == (
            "102 activated not counted: while its status is test, PanDA gives pilots of this queue"
            " only jobs labelled test, prod_test, install"
        )
        assert counted(factory, "Rc", 2).wms.note is None
        factory.until(lambda _: factory.queue("Managed").decision is not None)
        explained = apftui(factory, "explain", "Managed")
        assert "100 activated not counted" in explained
        assert "0 pilots: max-per-cycle lowered 4 to 0" in explained
        panda.queue("Q", status="online")
        assert counted(factory, "Managed", 100).reason == ""


def test_offline_and_brokeroff_are_a_status_and_the_jobs_are_still_counted(
    panda: PandaServer, tmp_path: Path
) -> None:
    """PanDA hands them out all the same: what to make of it is a step's decision."""
    for status in ("offline", "brokeroff"):
        panda.queue(status, status=status)
        panda.jobs(status, activated=7)
    with running(tmp_path, panda, "[queues.offline]\n[queues.brokeroff]") as factory:
        for status in ("offline", "brokeroff"):
            assert counted(factory, status, 7).wms.status == status


def test_a_queue_that_panda_does_not_know_is_unknown_not_empty(
    panda: PandaServer, tmp_path: Path
) -> None:
    panda.queue("BNL_PROD", "CERN")
    panda.queue("BIG", capability="ucore", corecount=8, maxrss=16000, minrss=0)
    panda.jobs("GHOST", activated=3)
    queues = """
[queues.BNL-PROD]
[queues.GHOST]
[queues.Part]
wms_queue = "BIG/MCORE"
[queues.CERN]
"""
    with running(tmp_path, panda, queues) as factory:
        assert counted(factory, "CERN", 0).state == "ok"
        wrong = factory.queue("BNL-PROD")
        assert (wrong.state, wrong.activated) == ("blind", None)
        assert "PanDA knows no queue BNL-PROD; did you mean BNL_PROD?" in wrong.reason
        ghost = factory.queue("GHOST")
        assert (ghost.activated, ghost.wms.status) == (3, None)
        assert ghost.wms.problem == "its status is unknown: it is missing in get_site_specs"
        part = factory.queue("Part")
        assert part.activated is None
        assert "set wms_queue to BIG and resource_type to MCORE" in part.reason


def test_a_hundred_wrong_names_cost_no_hundred_searches(panda: PandaServer) -> None:
    panda.queue("Q")
    panda.jobs("Q", activated=1)
    panda.sql(
        "INSERT INTO schedconfig_json SELECT 'SITE_' || i,"
        " json_build_object('nickname', 'SITE_' || i, 'status', 'online', 'cloud', 'US')"
        " FROM generate_series(1, 2000) AS i;"
    )
    counts = poll(panda, *(WmsQuery(queue=f"SITE-{i}X") for i in range(1000)))
    assert all(c.activated is None for c in counts)
    assert "did you mean SITE_" in (counts[0].problem or "")
    assert (counts[-1].problem or "").endswith("compare url and wms_queue")


def apftui(factory: Running, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "apftui", *command, "--config", str(factory.site.config)],
        cwd=REPOSITORY,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

"""Database, server and line fail, one after the other: blind in time, with the reason, and back."""

from __future__ import annotations

import time
from pathlib import Path

from core.api.models import QueueStatus
from tests.running import Running

from .panda_site import counted, panda_site
from .server import PandaServer

PERIOD = 4.0
MAX_AGE = 1.25 * PERIOD  # a slow answer on a busy machine is no blind moment yet

# The second one has more patience with the same server.
QUEUES = """
[queues.Q]
[queues.Patient]
wms = "patient"
wms_queue = "Q"
"""
PATIENT = """lag = 0
[wms.patient]
plugin = "panda"
url = "{url}"
period = 1
max_age = 120
lag = 0
"""


def start(tmp_path: Path, panda: PandaServer, **more: float) -> Running:
    panda.queue("Q")
    panda.jobs("Q", activated=7)
    site = panda_site(
        tmp_path,
        panda.url,
        QUEUES,
        wms=PATIENT.format(url=panda.url),
        period=PERIOD,
        max_age=MAX_AGE,
        maximum=2,
        **more,
    )
    factory = site.start()
    counted(factory, "Q", 7)
    counted(factory, "Patient", 7)
    return factory


def blind(factory: Running, seconds: float = 15) -> tuple[float, QueueStatus]:
    """Wait until Q is blind; return how long it took, and its row."""
    began = time.monotonic()
    factory.until(lambda _: factory.queue("Q").state == "blind", seconds)
    return time.monotonic() - began, factory.queue("Q")


def says(factory: Running, text: str, seconds: float = 30) -> QueueStatus:
    factory.until(lambda _: text in factory.queue("Q").reason, seconds)
    return factory.queue("Q")


def test_without_its_database_nothing_is_known_and_with_it_again_all_is(
    panda: PandaServer, tmp_path: Path
) -> None:
    factory = start(tmp_path, panda)
    with factory.site:
        panda.stop_database()
        took, row = blind(factory)
        print(f"blind {took:.1f} s after the database stopped")
        assert took < MAX_AGE + 1.5  # for the pass, and this look at it
        assert (row.activated, row.wms.activated) == (None, None)
        pilots = submitted(factory)
        row = says(factory, "Database failure getting the job statistics")
        assert f"{panda.url}/api/v1/statistics/active_job_detailed_stats_by_site says" in row.reason
        # The last good answer serves for as long as it may.
        patient = factory.queue("Patient")
        assert (patient.state, patient.activated) == ("ok", 7)
        assert submitted(factory) == pilots
        panda.start_database()
        began = time.monotonic()
        panda.jobs("Q", activated=9)
        counted(factory, "Q", 9)
        print(f"back {time.monotonic() - began:.1f} s after the database")
        assert factory.queue("Q").state == "ok"
        assert time.monotonic() - began < 15


def test_a_stopped_server_is_no_empty_one(panda: PandaServer, tmp_path: Path) -> None:
    factory = start(tmp_path, panda)
    with factory.site:
        panda.stop_server()
        took, _ = blind(factory)
        assert took < MAX_AGE + 1.5
        says(factory, "cannot be reached: Connection refused")
        source = next(s for s in factory.status().factory.sources if s.name == "panda")
        assert source.state == "failed"
        panda.start_server()
        assert counted(factory, "Q", 7).state == "ok"


def test_a_server_that_hangs_costs_no_more_than_the_deadline(
    panda: PandaServer, tmp_path: Path
) -> None:
    factory = start(tmp_path, panda, deadline=1.5)
    with factory.site:
        panda.pause_server()
        try:
            took, _ = blind(factory)
            assert took < MAX_AGE + 1.5
            says(factory, "wms panda: no answer to poll within 1.5 s")
        finally:
            panda.continue_server()
        assert counted(factory, "Q", 7).state == "ok"


def submitted(factory: Running) -> int:
    return sum(i.n for i in factory.intents() if i.queue == "Q")

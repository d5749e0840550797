"""PanDA's jobs get their pilots on the real pool: as many as there are, and none where none may be.

The server here gives out no jobs. As each pilot starts, SQL takes one for it, as its dispatcher
would have: from the activated ones to the running.
"""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.pool.condor import CondorPool
from tests.pool.factory_site import PoolSite

from .server import PandaServer

pytestmark = pytest.mark.pool

ONLINE, OFFLINE, TEST = 40, 30, 3

SETTINGS = """
[wms.panda]
plugin = "panda"
url = "{url}"
period = 0.5
lag = 4  # from the start of a pilot until this test has taken its job, on a busy machine
"""
QUEUE = """
[queues.{name}]
wms = "panda"
wrapper = "generic"
chain = ["ready", "status-offline", "max-pending"]
wrapper_parameters = {{ command = ["/bin/sleep", "600"] }}
"""


def test_each_queue_gets_its_pilots_and_no_more(panda: PandaServer, clean_pool: CondorPool) -> None:
    panda.queue("Online")
    panda.queue("Offline", status="offline")
    panda.queue("Test", status="test")
    panda.jobs("Online", activated=ONLINE)
    panda.jobs("Offline", activated=OFFLINE)
    panda.jobs("Test", "SCORE", "managed", activated=25)
    panda.jobs("Test", "SCORE", "prod_test", activated=TEST)
    queues = "".join(QUEUE.format(name=name) for name in ("Online", "Offline", "Test"))
    with PoolSite(clean_pool, SETTINGS.format(url=panda.url) + queues) as site:
        try:
            factory = site.start()
            end = time.monotonic() + 90
            while started(site) != {"Online": ONLINE, "Test": TEST}:
                assert time.monotonic() < end, (started(site), factory.log()[-3000:])
                dispatch(panda, started(site))
                time.sleep(0.2)
            dispatch(panda, started(site))
            cycle = factory.status().factory.cycle
            # Longer than lag: nobody waits any more, nothing was sent, nothing is missing.
            factory.until(lambda s: s.factory.cycle >= cycle + 14, 60)
            assert sum(site.seen().values()) == ONLINE + TEST
            assert started(site) == {"Online": ONLINE, "Test": TEST}
            rows = {row.name: row for row in factory.status().queues}
            assert {row.name: row.activated for row in rows.values()} == {
                "Online": 0,
                "Offline": OFFLINE,
                "Test": 0,
            }
            offline = rows["Offline"].decision
            assert offline is not None
            assert offline.bound_by == "status-offline"
            assert "25 activated not counted" in rows["Test"].reason
        finally:
            site.clean_up()


def started(site: PoolSite) -> Counter[str]:
    """Count the running pilots of each queue, as condor_q tells them."""
    schedd = site.pool.schedds[0]
    jobs = site.jobs(schedd, "APFQueue", "JobStatus")
    return Counter(job["APFQueue"] for job in jobs if job["JobStatus"] == 2)


def dispatch(panda: PandaServer, pilots: Counter[str]) -> None:
    """Give each running pilot its job."""
    for queue, label, n in (("Online", "managed", ONLINE), ("Test", "prod_test", TEST)):
        panda.jobs(queue, "SCORE", label, activated=n - pilots[queue], running=pilots[queue])

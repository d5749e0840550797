"""What the console is told of a queue that the WMS has offline: by a factory with a site's WMS."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.api.models import QueueStatus
from tests.running import Running, Site

SETTINGS = """
[factory]
name = "offline-01"
state = "state"
cycle = 0.2

[wms.atlas]
plugin = "tally"
path = "tally.json"
period = 0.2

[batch.here]
plugin = "local"
path = "pilots"
slots = 1
period = 0.2

[defaults]
wms = "atlas"
batch = "here"
wrapper_parameters = { command = ["sleep", "600"] }
chain = ["ready", "max-pending", "status-offline"]
[defaults.sched.max-pending]
maximum = 2

[queues.Q]
[queues.ASKS_NOT]
chain = ["ready", "max-pending"]
[queues.PROBED]
sched.status-offline.pilots = 1
[queues.TESTED]
chain = ["ready", "status-test"]
[queues.APF]
apf_compat = true
"""
QUEUES = ("Q", "ASKS_NOT", "PROBED", "TESTED", "APF")


@pytest.fixture
def site(tmp_path: Path, extras: Path) -> Iterator[Site]:
    with Site(tmp_path, SETTINGS) as made:
        yield made


def says(site: Site, status: str | None, activated: int = 5) -> None:
    new = site.folder / "new.json"
    new.write_text(json.dumps({queue: [activated, status] for queue in QUEUES}))
    new.rename(site.folder / "tally.json")


def told(factory: Running) -> dict[str, QueueStatus]:
    return {q.name: q for q in factory.status().queues}


def decided_on(factory: Running, status: str | None) -> dict[str, QueueStatus]:
    """Wait until every queue has that status and has been decided on it."""
    factory.until(lambda s: all(q.wms.status == status for q in s.queues))
    cycle = factory.status().factory.cycle
    factory.until(lambda s: all((q.cycle or 0) > cycle + 1 for q in s.queues))
    return told(factory)


def test_offline_by_the_wms_is_a_state_of_its_own(site: Site) -> None:
    says(site, "offline")
    factory = site.start()
    rows = decided_on(factory, "offline")
    assert (rows["Q"].state, rows["Q"].reason) == (
        "offline",
        "atlas says offline: nothing is submitted",
    )
    assert rows["ASKS_NOT"].state == "ok", "its chain does not look at the status"
    factory.until(lambda _: bool(told(factory)["ASKS_NOT"].pending))  # it gets them all the same
    assert rows["PROBED"].state == rows["TESTED"].state == rows["APF"].state == "offline"
    factory.until(lambda _: bool((row := told(factory)["PROBED"]).pending or row.running))
    for name in ("Q", "APF"):
        assert (rows[name].pending, rows[name].running) == (0, 0)
    assert {i.queue for i in factory.settled()} == {"ASKS_NOT", "PROBED", "TESTED"}

    says(site, "brokeroff")
    rows = decided_on(factory, "brokeroff")
    assert rows["Q"].reason == "atlas says brokeroff: nothing is submitted"
    assert rows["APF"].state == "ok", "AutoPyFactory takes brokeroff for online"
    factory.until(lambda _: bool(told(factory)["APF"].pending))

    says(site, None)
    factory.until(lambda s: next(q for q in s.queues if q.name == "Q").state == "blind")
    assert told(factory)["Q"].reason == "the queue's status is unknown: the WMS did not say"

    says(site, "online")
    rows = decided_on(factory, "online")
    assert {q.state for q in rows.values()} == {"ok"}
    factory.until(lambda _: bool(told(factory)["Q"].pending))

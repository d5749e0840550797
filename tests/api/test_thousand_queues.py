"""A thousand queues: status and snapshot stay quick."""

import time
from pathlib import Path

from core.api.models import Snapshot
from tests.running import Site, local_settings


def test_status_of_a_thousand_queues(tmp_path: Path) -> None:
    queues = "".join(f"[queues.Q{i:04}]\n" for i in range(1000))
    with Site(tmp_path, local_settings(queues, factory="# many")) as site:
        factory = site.start()
        factory.until(lambda s: all(q.decision for q in s.queues), 30)
        took = []
        for _ in range(3):
            began = time.monotonic()
            status = factory.status()
            took.append(time.monotonic() - began)
            assert len(status.queues) == 1000
        assert min(took) < 0.5, took
        began = time.monotonic()
        assert len(factory.get("/v1/snapshot", Snapshot, limit=200).queues) == 200
        assert time.monotonic() - began < 0.5
        assert factory.stop() == 0

"""All queues of ten PanDAs in one answer: exact, and well inside the deadline."""

from __future__ import annotations

import time
from pathlib import Path

from core.model.answers import WmsAnswer, WmsQuery
from core.run.worker import Worker

from .server import PandaServer

N = 10_000

FILL = f"""
INSERT INTO schedconfig_json SELECT 'SITE_' || i, json_build_object(
    'nickname', 'SITE_' || i, 'cloud', 'US', 'type', 'unified',
    'capability', CASE WHEN i % 50 = 1 THEN 'ucore' ELSE 'score' END, 'corecount', 8,
    'maxrss', 16000, 'minrss', 0, 'maxtime', 345600, 'catchall', '',
    'status', CASE WHEN i % 100 = 0 THEN 'test' ELSE 'online' END)
    FROM generate_series(1, {N}) AS i;
INSERT INTO mv_jobsactive4_stats
    (computingsite, resource_type, prodsourcelabel, jobstatus, num_of_jobs)
    SELECT 'SITE_' || i, kind, label, state, i % 97 + length(state) + length(kind)
    FROM generate_series(1, {N}) AS i,
        unnest(ARRAY['SCORE', 'MCORE']) AS kind,
        unnest(ARRAY['managed', 'prod_test']) AS label,
        unnest(ARRAY['activated', 'running', 'holding']) AS state;
"""


def expected(i: int, state: str, kind: str = "MCORE") -> int:
    return i % 97 + len(state) + len(kind)


async def test_ten_thousand_queues_in_one_answer(panda: PandaServer) -> None:
    panda.sql(FILL)
    wanted = [
        WmsQuery(queue=f"SITE_{i}", resource_type="MCORE", labels=("managed",)).model_dump()
        for i in range(1, N + 1)
    ]
    worker = Worker("wms panda", "wms", {"plugin": "panda", "params": {"url": panda.url}})
    try:
        await worker.call("poll", 20.0, wanted=wanted[:1])
        began = time.monotonic()
        raw = await worker.call("poll", 20.0, wanted=wanted)
        took = time.monotonic() - began
        peak = high_water(worker.pid)
    finally:
        await worker.close()
    print(f"{N} queues in {took:.1f} s, {peak} MB")
    answer = WmsAnswer.model_validate(raw)
    assert len(answer.counts) == N
    for i, count in enumerate(answer.counts, 1):
        in_test = i % 100 == 0
        label = expected(i, "activated")
        assert count.activated == label
        assert count.running == expected(i, "running") * (2 if in_test else 1)
        assert count.other == {"holding": expected(i, "holding") * (2 if in_test else 1)}
        assert count.status == ("test" if in_test else "online")
    assert peak < 500


def high_water(pid: int | None) -> int:
    """Return the most memory that a process ever had, in MB."""
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) // 1024

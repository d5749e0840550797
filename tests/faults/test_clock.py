"""The host's clock goes an hour back, and forth again, under a running factory."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.api.models import Action, QueueDetail, Status
from tests.running import Running, Site, local_settings, sleepers

LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
HOUR = 3600.0

pytestmark = pytest.mark.skipif(
    LIBRARY is None, reason="needs libfaketime (Debian: apt-get install faketime)"
)


class Clock:
    """What time the factory believes it is; CLOCK_BOOTTIME stays the kernel's."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.env = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, seconds: float) -> None:
        """Put it so far off the real time, for processes that start now."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+.0f}")
        new.rename(self._file)

    def jump(self, seconds: float) -> None:
        """The same for processes that run: the library looks at the file once a second."""
        self.set(seconds)
        time.sleep(1.1)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    made = Clock(tmp_path)
    made.set(-HOUR)
    script = "import time; print(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))"
    told = subprocess.run(
        [sys.executable, "-c", script], env=made.env, capture_output=True, text=True, check=True
    ).stdout
    wall, boottime = map(float, told.split())
    assert abs(time.time() - HOUR - wall) < 10, told
    assert abs(time.clock_gettime(time.CLOCK_BOOTTIME) - boottime) < 10, told
    made.set(0)
    return made


def ages(status: Status) -> list[float]:
    found = [status.factory.next_pass_s, status.factory.last_pass_age_s]
    found += [source.age_s for source in status.factory.sources]
    for queue in status.queues:
        found += [queue.decided_age_s, queue.wms.age_s, queue.batch.age_s]
    return [age for age in found if age is not None]


def steady(factory: Running, cycles: int = 4) -> None:
    """Watch some passes: ages stay small and positive, no queue is blind, nothing is sent."""
    start = factory.status().factory.cycle
    while (status := factory.status()).factory.cycle < start + cycles:
        assert all(0 <= age < 30 for age in ages(status)), status
        assert [q.state for q in status.queues] == ["paused", "ok"], status
        assert status.queues[1].running == 2
        assert status.factory.alarms == ()
        time.sleep(0.05)
    assert len(factory.intents()) == 1


def test_a_clock_that_goes_back_under_a_running_factory(tmp_path: Path, clock: Clock) -> None:
    with Site(tmp_path / "site", local_settings("[queues.Q]\n" + sleepers("S", 2))) as site:
        factory = site.start(env=clock.env)
        factory.until(lambda s: s.queues[1].running == 2)
        assert factory.change("Q", "paused", True)[0] == 200
        # An override has ended before the jump: it does not come back.
        assert factory.change("S", "paused", True, until=time.time() + 4)[0] == 200
        factory.until(lambda s: s.queues[1].state == "ok")
        ended = expiries(factory)
        assert [a.what for a in ended] == ["S: paused expired"]
        clock.jump(-HOUR)
        steady(factory)
        assert expiries(factory) == ended
        assert factory.change("Q", "paused", True, why="at another time")[0] == 200
        detail = factory.get("/v1/queue", QueueDetail, name="S")
        cycles = [d.cycle for d in detail.decisions]
        assert cycles == sorted(cycles, reverse=True)
        # And a factory that starts at that time knows what it had sent.
        factory.kill()
        again = site.start(env=clock.env)
        again.until(lambda s: s.queues[1].running == 2)
        steady(again)
        assert again.stop() == 0


def test_an_override_waits_for_its_time_by_the_clock_on_the_wall(
    tmp_path: Path, clock: Clock
) -> None:
    with Site(tmp_path / "site", local_settings("[queues.Q]\n")) as site:
        factory = site.start(env=clock.env)
        until = time.time() + 1800
        assert factory.change("Q", "paused", True, until=until)[0] == 200
        clock.jump(-HOUR)
        cycle = factory.status().factory.cycle
        factory.until(lambda s: s.factory.cycle > cycle + 2)
        assert factory.queue("Q").state == "paused"
        clock.jump(HOUR)
        factory.until(lambda s: s.queues[0].state == "ok")
        clock.jump(0)
        cycle = factory.status().factory.cycle
        factory.until(lambda s: s.factory.cycle > cycle + 2)
        assert factory.queue("Q").state == "ok"


def expiries(factory: Running) -> list[Action]:
    code, answer = factory.call("GET", "/v1/actions")
    assert code == 200
    return [a for a in map(Action.model_validate, answer) if a.by == "expiry"]

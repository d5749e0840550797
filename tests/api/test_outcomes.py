"""What became of pilots: a real factory with local ones, over the API and on the command line."""

import json
from pathlib import Path

from core.api.models import ReloadResult
from plugins.local import ended
from tests.running import Running, Site, local_settings
from tests.typed import apftui

QUICK = "slots = 4\noutcomes_period = 0.3"

QUEUES = """
[queues.GOOD]
[queues.BAD]
[queues.NONE]
"""


def numbers(factory: Running) -> dict[str, tuple[int | None, int | None]]:
    return {q.name: (q.done, q.failed) for q in factory.status().queues}


def on_disk(site: Site) -> dict[str, tuple[int, int]]:
    """Count the exit codes that the pilots have left."""
    found: dict[str, list[str]] = {"GOOD": [], "BAD": [], "NONE": []}
    for folder in (site.pilots, ended.folder(site.pilots)):
        for told in folder.glob("*-*-*-*-*/submission.json"):
            queue = json.loads(told.read_text())["queue"]
            found[queue] += [path.read_text().strip() for path in told.parent.glob("*/exit")]
    return {q: (codes.count("0"), len(codes) - codes.count("0")) for q, codes in found.items()}


def test_done_and_failed_of_each_queue_are_those_on_disk_also_after_a_restart(
    tmp_path: Path,
) -> None:
    with Site(tmp_path, local_settings(QUEUES, batch=QUICK)) as site:
        for name in "abc":
            site.payload("GOOD", name)
        site.payload("BAD", "d", "exit 1")
        site.payload("BAD", "e", "kill -9 $$")
        factory = site.start()
        done = site.payloads / "GOOD" / "done"
        failed = site.payloads / "BAD" / "failed"
        factory.until(lambda _: len([*done.iterdir(), *failed.iterdir()]) == 5)
        factory.quiet()
        truth = on_disk(site)
        assert truth["GOOD"][0] >= 3
        assert truth["BAD"][1] >= 2
        assert truth["NONE"] == (0, 0)
        factory.until(lambda _: numbers(factory) == truth)

        assert factory.stop() == 0
        factory = site.start()
        factory.until(lambda _: numbers(factory) == truth)

        said = apftui("status", "--config", site.config).out
        (line,) = [line.split() for line in said.splitlines() if line.startswith("BAD")]
        head = next(line.split() for line in said.splitlines() if line.startswith("QUEUE"))
        assert line[head.index("DONE/h")] == str(truth["BAD"][0])
        assert line[head.index("FAIL/h")] == str(truth["BAD"][1])
        assert "outcomes  here (local): fresh" in said
        told = apftui("status", "--json", "--config", site.config).json["queues"]
        assert {q["name"]: (q["done"], q["failed"]) for q in told} == truth


def test_without_an_answer_they_are_unknown_and_pilots_are_counted_as_ever(
    tmp_path: Path,
) -> None:
    batch = f"{QUICK}\nmax_age = 1.5"
    with Site(tmp_path, local_settings("[queues.GOOD]\n", batch=batch)) as site:
        site.payload("GOOD")
        factory = site.start()
        factory.until(lambda s: (s.queues[0].done or 0) > 0 and ended.folder(site.pilots).exists())
        # Only what asks for outcomes looks into this folder.
        ended.folder(site.pilots).chmod(0o777)
        status = factory.until(lambda s: s.queues[0].done is None, 20)
        (queue,) = status.queues
        assert queue.failed is None
        assert (queue.state, queue.pending, queue.running) == ("ok", 0, 0)
        states = {(s.kind, s.state): s.problem or "" for s in status.factory.sources}
        assert "writable by everyone" in states["outcomes", "failed"]
        assert ("batch", "fresh") in states
        ended.folder(site.pilots).chmod(0o700)
        factory.until(lambda s: (s.queues[0].done or 0) > 0)


def test_a_queue_that_left_the_settings_with_pilots_still_tells(tmp_path: Path) -> None:
    queues = "[queues.GOOD]\n[queues.OTHER]\n"
    with Site(tmp_path, local_settings(queues, batch=QUICK)) as site:
        site.payload("GOOD", "long", "while [ ! -e stop ]; do sleep 0.1; done")
        site.payload("GOOD", "short", "exit 1")
        factory = site.start()
        factory.until(lambda s: s.queues[0].failed == 1 and s.queues[0].running == 1)
        site.write(local_settings("[queues.OTHER]\n", batch=QUICK))
        assert factory.post("/v1/reload", None, ReloadResult).removed == ("GOOD",)
        factory.until(lambda _: factory.queue("GOOD").state == "draining")
        assert factory.queue("GOOD").failed == 1

"""`apftui plan`: sources are really asked, and nothing is left behind."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.running import FOREGROUND, Site, local_settings, sleepers
from tests.typed import apftui, tree

QUEUES = """
[queues.Q]
[queues.P]
paused = true
[queues.lost]
wms_queue = "nowhere"
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "site", local_settings(QUEUES))
    for number in range(3):
        made.payload("Q", f"job{number}")
    made.payload("P")
    shutil.rmtree(made.payloads / "nowhere", ignore_errors=True)
    return made


def test_it_decides_on_what_the_sources_say_now(site: Site) -> None:
    before = tree(site.folder)
    answer = apftui("plan", "--json", "--config", site.config)
    assert (answer.code, answer.err) == (0, "")
    told = {d["queue"]: d for d in answer.json}
    assert list(told) == ["P", "Q", "lost"]
    assert told["Q"]["submit"] == 3
    assert told["Q"]["steps"][0]["reason"] == "3 activated - 0 pending"
    assert (told["P"]["submit"], told["P"]["bound_by"]) == (0, "paused")
    assert told["lost"]["blind"] is True
    assert "nowhere" in told["lost"]["blind_because"]
    assert tree(site.folder) == before


def test_for_people_it_prints_each_queue_step_by_step(site: Site) -> None:
    out = apftui("plan", "--config", site.config).out
    assert "Q: submit 3\n" in out
    assert "P: submit 0, bound by paused\n" in out
    assert "lost: blind, nothing is submitted or removed: activated is unknown" in out


def test_a_folder_in_which_a_factory_ran_stays_as_it_is(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        site.payload("Q")
        factory = site.start(FOREGROUND)
        factory.until(lambda status: status.queues[0].decision is not None)
        assert factory.stop() == 0
        before = tree(site.state)
        for command in (["plan"], ["explain", "Q"], ["intent", "list"], ["check"]):
            answer = apftui(*command, "--config", site.config)
            assert answer.code == 0, answer.err
        assert tree(site.state) == before


def test_pilots_that_were_sent_count_whether_or_not_a_factory_runs(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings(sleepers("S", 2))) as site:
        factory = site.start()
        factory.until(lambda status: status.queues[0].running == 2)
        for _ in range(2):
            told = apftui("plan", "--json", "--config", site.config).json[0]
            assert (told["submit"], told["bound_by"]) == (0, "max-to-run")
            factory.kill()


def test_an_unresolved_submission_stops_its_queue(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        site.payload("Q")
        assert apftui("--no-ui", "--cycles", "1", "--config", site.config).code == 0
        with sqlite3.connect(site.state / "state.db") as db:
            db.execute("update intents set state = 'intent', detail = 'the schedd is gone'")
        for number in range(3):
            site.payload("Q", f"job{number}")
        told = apftui("plan", "--json", "--config", site.config).json[0]
    assert (told["submit"], told["bound_by"]) == (0, "unresolved")
    assert told["steps"][0]["out"] == 2, "it counts in full"
    assert "the schedd is gone" in told["steps"][-1]["reason"]


def test_submit_file_is_what_the_plugin_would_hand_over(site: Site) -> None:
    before = tree(site.folder)
    answer = apftui("plan", "--submit-file", "Q", "--config", site.config)
    assert (answer.code, answer.err) == (0, "")
    described = json.loads(answer.out)
    assert (described["queue"], described["n"]) == ("Q", 3)
    assert described["executable"].startswith(f"{site.state}/wrappers/directory-")
    paused = apftui("plan", "--submit-file", "P", "--json", "--config", site.config).json
    assert json.loads(paused["submit_file"])["n"] == 1
    assert tree(site.folder) == before


def test_submit_file_of_a_queue_that_is_not_there(site: Site) -> None:
    answer = apftui("plan", "--submit-file", "X", "--config", site.config)
    assert answer.code == 1
    assert "there is no queue X" in answer.err

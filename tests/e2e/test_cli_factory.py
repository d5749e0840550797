"""Commands that ask a running factory, and what they say when none runs."""

import time
from pathlib import Path

import pytest

from tests.running import FOREGROUND, Site, local_settings
from tests.typed import apftui, tree

QUEUES = "[queues.Q]\n[queues.R]\npaused = true\n"


def test_a_shift_on_the_command_line(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings(QUEUES)) as site:
        at = ("--config", site.config)
        for number in range(3):
            site.payload("Q", f"job{number}")
        factory = site.start(FOREGROUND)
        factory.until(lambda status: status.factory.cycle >= 3)

        status = apftui("status", "--json", *at).json
        assert {"name", "state", "activated", "pending", "running", "held", "decision"} <= set(
            status["queues"][0]
        )
        assert {"activated", "running", "status", "age_s"} <= set(status["queues"][0]["wms"])
        assert {"pending", "running", "held", "age_s"} <= set(status["queues"][0]["batch"])
        assert set(status["queues"][0]["decision"]) == {
            *("queue", "submit", "remove", "blind", "blind_because", "bound_by", "steps")
        }
        assert status["factory"]["pid"] == factory.pid
        human = apftui("status", *at).out
        assert f"pid {factory.pid}" in human
        assert "paused in the settings" in human

        told = apftui("explain", "Q", "--json", *at).json
        assert told["state"] == "ok"
        assert told["decision"]["steps"][0]["plugin"] == "ready"
        assert "confirmed" in apftui("intent", "list", *at).out
        assert "Q" in apftui("queue", "list", *at).out
        assert "sched.max-pending.maximum" in apftui("queue", "show", "Q", *at).out

        paused = apftui("queue", "pause", "Q", "--why", "tired", "--for", "2h", *at)
        assert paused.code == 0, paused.err
        row = next(q for q in apftui("queue", "list", "--json", *at).json if q["name"] == "Q")
        assert row["state"] == "paused"
        assert row["reason"].endswith(": tired")
        action = apftui("queue", "show", "Q", "--json", *at).json["actions"][0]
        assert 7100 < action["until"] - time.time() <= 7200
        assert apftui("queue", "resume", "Q", "R", *at).code == 0
        states = {q["name"]: q["state"] for q in apftui("queue", "list", "--json", *at).json}
        assert states == {"Q": "ok", "R": "ok"}

        unknown = apftui("queue", "pause", "X", *at)
        assert unknown.code == 1
        assert "there is no queue X" in unknown.err
        unknown = apftui("intent", "resolve", "abc", "absent", "--why", "x", *at)
        assert unknown.code == 1
        assert "abc" in unknown.err

        site.write(local_settings(QUEUES + "[queues.S]\n"))
        assert "added S" in apftui("reload", *at).out
        site.write(local_settings("[queues.Q]\nnonsense = 1"))
        refused = apftui("reload", *at)
        assert refused.code == 1
        assert "nonsense" in refused.err
        assert "nonsense" in apftui("status", *at).out, "asked all the same, and shown as an alarm"

        stopped = apftui("stop", *at)
        assert stopped.code == 0, stopped.err
        assert factory.ended() == 0


def test_resume_leaves_no_override_that_nobody_needs(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings(QUEUES)) as site:
        at = ("--config", site.config)
        factory = site.start()

        def paused(queue: str) -> tuple[object, str]:
            told = apftui("queue", "show", queue, "--json", *at).json["settings"]
            return next((v["value"], v["layer"]) for v in told if v["key"] == "paused")

        nothing = apftui("queue", "resume", "Q", *at)
        assert (nothing.code, nothing.out) == (
            0,
            "nothing to resume: neither paused nor draining\n",
        )
        assert paused("Q") == (False, "built-in")
        assert apftui("queue", "pause", "Q", "R", *at).code == 0
        assert paused("R") == (True, "override")
        assert apftui("queue", "resume", "Q", "R", *at).code == 0
        assert paused("Q") == (False, "built-in")
        assert paused("R") == (False, "override"), "its settings pause it"
        assert {q.state for q in factory.status().queues} == {"ok"}


def test_unknown_is_null_and_its_queue_blind(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        factory = site.start()
        factory.until(lambda s: s.queues[0].decision is not None)
        (site.payloads / "Q" / "new").chmod(0o777)  # everybody may write there: not trusted
        factory.until(lambda s: s.queues[0].state == "blind")
        factory.until(lambda s: s.queues[0].decision is not None and s.queues[0].decision.blind)
        (row,) = apftui("status", "--json", "--config", site.config).json["queues"]
        assert (row["activated"], row["wms"]["activated"]) == (None, None)
        assert (row["pending"], row["running"], row["held"]) == (0, 0, 0)
        decision = row["decision"]
        assert (decision["submit"], decision["remove"], decision["steps"]) == (0, 0, [])
        assert (decision["blind"], decision["bound_by"]) == (True, None)
        assert "writable by everyone" in decision["blind_because"]


def test_a_second_factory_is_told_who_has_the_state_folder(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        factory = site.start()
        second = apftui("--no-ui", "--cycles", "1", "--config", site.config)
        assert second.code == 1
        assert f"pid {factory.pid}" in second.err
        assert second.err.count("\n") == 1
        assert factory.status().factory.pid == factory.pid


def test_without_a_factory_commands_say_so(tmp_path: Path) -> None:
    site = Site(tmp_path, local_settings("[queues.Q]"))
    before = tree(site.folder)
    for command in ("status", "stop", "reload", "queue list", "queue pause Q"):
        answer = apftui(*command.split(), "--config", site.config)
        assert answer.code == 1
        assert f"no factory runs for {site.config}; start one with `apftui`" in answer.err
        assert answer.err.count("\n") == 1
    answer = apftui("explain", "Q", "--config", site.config)
    assert answer.code == 1
    assert "no factory ever ran" in answer.err
    assert tree(site.folder) == before


def test_explain_and_intents_without_a_factory(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        at = ("--config", site.config)
        site.payload("Q")
        ran = apftui("--no-ui", "--cycles", "3", *at)
        assert ran.code == 0, ran.err
        told = apftui("explain", "Q", "--json", *at).json
        assert (told["queue"], told["state"]) == ("Q", None)
        assert told["why"].startswith("0 pilots: ready: ")
        human = apftui("explain", "Q", *at).out
        assert "no factory runs" in human
        assert "max-pending" in human
        intents = apftui("intent", "list", "--json", *at).json
        assert [(i["queue"], i["n"], i["state"]) for i in intents] == [("Q", 1, "confirmed")]
        assert apftui("intent", "list", "--unresolved", "--json", *at).json == []
        unknown = apftui("explain", "X", *at)
        assert unknown.code == 1
        assert "no decision on queue X" in unknown.err


def test_a_killed_factory_leaves_nothing_that_hinders(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings("[queues.Q]")) as site:
        at = ("--config", site.config)
        factory = site.start()
        factory.until(lambda status: status.queues[0].decision is not None)
        factory.kill()
        gone = apftui("status", *at)
        assert (gone.code, "no factory runs" in gone.err) == (1, True)
        assert apftui("explain", "Q", *at).code == 0
        assert apftui("--no-ui", "--cycles", "1", *at).code == 0


def test_factories_of_one_name_are_told_apart_and_found_from_another_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    settings = local_settings("[queues.Q]")
    with Site(tmp_path / "a", settings) as a, Site(tmp_path / "b", settings) as b:
        first = a.start(env={"XDG_RUNTIME_DIR": str(runtime)})
        second = b.start(env={"XDG_RUNTIME_DIR": str(runtime)})
        third = Site(tmp_path / "c", settings)
        with third:
            plain = third.start()
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
            for site, running in ((a, first), (b, second), (third, plain)):
                told = apftui("status", "--json", "--config", site.config)
                assert told.code == 0, told.err
                assert told.json["factory"]["pid"] == running.pid

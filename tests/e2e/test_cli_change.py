"""set, unset, actions and undo, as they are typed."""

import json
import time
from pathlib import Path

from tests.running import Site, local_settings
from tests.typed import apftui

KEY = "sched.max-pending.maximum"
QUEUES = "[queues.Q]\n[queues.R]\n[queues.R.attributes]\nnote = 'x'\n"
EVIL = "$(reboot) `id` {{7*7}} [red]'\"\\ \x1b[31m"


def test_a_value_is_set_looked_at_and_taken_back(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings(QUEUES, batch="slots = 1")) as site:
        at = ("--config", site.config)
        site.write(site.config.read_text().replace("cycle = 0.2", "cycle = 1"))
        factory = site.start()
        factory.until(lambda s: all(q.decision and not q.decision.blind for q in s.queues))
        for number in range(9):
            site.payload("Q", f"job{number}", "sleep 600")
        factory.until(lambda s: s.queues[0].running == 1)

        dry = apftui("queue", "set", "Q", f"{KEY}=2", "paused=true", "--dry-run", *at)
        assert dry.code == 0, dry.err
        assert f"Q: {KEY} 100 → 2" in dry.out
        assert "Q: paused false → true" in dry.out
        assert "Q: next pass: submit 0" in dry.out
        assert "nothing was changed" in dry.out
        assert apftui("actions", "--json", *at).json == []
        assert not (site.state / "overrides.toml").exists()

        done = apftui("queue", "set", "Q", f"{KEY}=2", "--why", "too many", "--for", "2h", *at)
        assert done.code == 0, done.err
        assert f"Q: {KEY} = 2: applied" in done.out
        told = apftui("actions", "--json", *at).json
        assert [(a["what"], a["why"], a["queues"]) for a in told] == [
            (f"Q: {KEY} = 2", "too many", ["Q"])
        ]
        assert 7100 < told[0]["until"] - time.time() <= 7200
        shown = apftui("actions", *at).out
        assert f"apftui undo {told[0]['id'][:8]}" in done.out
        assert told[0]["id"][:8] in shown
        assert told[0]["by"] in shown
        assert "119m" in shown or "2h" in shown

        undone = apftui("undo", told[0]["id"][:8], "--why", "wrong queue", "--json", *at)
        assert undone.code == 0, undone.err
        assert undone.json["action"]["undoes"] == told[0]["id"]
        (value,) = undone.json["preview"]["queues"][0]["values"]
        assert (value["key"], value["before"], value["after"]) == (KEY, 2, 100)
        again = apftui("undo", told[0]["id"], *at)
        assert again.code == 1
        assert "changed since" in again.err

        assert apftui("queue", "set", "Q", f"{KEY}=3", *at).code == 0
        unset = apftui("queue", "unset", "Q", KEY, *at)
        assert unset.code == 0, unset.err
        assert f"{KEY} 3 → 100 (defaults)" in unset.out
        nothing = apftui("queue", "unset", "Q", KEY, *at)
        assert nothing.code == 1
        assert "no override" in nothing.err
        assert factory.stop() == 0
        assert len(apftui("actions", "--json", *at).json) == 4, "also while no factory runs"


def test_errors_name_the_key_the_range_and_the_cure(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings(QUEUES)) as site:
        at = ("--config", site.config)
        site.start()
        for wanted, said in (
            (f"{KEY}=-1", "greater than or equal to 0"),
            (f"{KEY}=-1", KEY),
            (f"{KEY}=many", "whole number"),
            ("sched.max-pending.maxmum=1", "did you mean maximum?"),
            ("sched.scale.factor=2", "not in the queue's chain"),
            ("wms=jobz", "did you mean jobs?"),
            ("wrapper=directry", "did you mean directory?"),
            ("pausd=true", "did you mean paused?"),
        ):
            refused = apftui("queue", "set", "Q", wanted, *at)
            assert refused.code == 1, refused.out
            assert said in refused.err
            assert not refused.out
        assert apftui("queue", "set", "QQ", "paused=true", *at).err.endswith("did you mean Q?\n")
        for wrong in ("nothing", "=5", "a b=5"):
            assert apftui("queue", "set", "Q", wrong, *at).code == 2
        assert apftui("undo", "nonsense", *at).code == 1
        assert "apftui actions" in apftui("undo", "nonsense", *at).err
        assert json.loads(apftui("actions", "--json", *at).out) == []


def test_hostile_values_arrive_literally(tmp_path: Path) -> None:
    with Site(tmp_path, local_settings(QUEUES)) as site:
        at = ("--config", site.config)
        factory = site.start()
        done = apftui(
            "queue", "set", "R", f"attributes.note={EVIL}", "environment.X=50", "--why", EVIL, *at
        )
        assert done.code == 0, done.err
        assert "\x1b" not in done.out
        settings = {
            v["key"]: v["value"] for v in factory.call("GET", "/v1/queue?name=R")[1]["settings"]
        }
        assert settings["attributes.note"] == EVIL
        assert settings["environment.X"] == "50", "text needs no quotes"
        shown = apftui("actions", *at)
        assert "\x1b" not in shown.out
        assert "$(reboot) `id`" in shown.out

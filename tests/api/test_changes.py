"""Overrides of a running factory: who, at what revision, undone, expired, orphaned, reloaded."""

import os
import pwd
import signal
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.api.models import Action, QueueDetail, ReloadResult
from core.api.peer import Peer
from tests.running import Running, Site, local_settings

SETTINGS = local_settings("[queues.Q]\n[queues.R]\n")
WITHOUT_CAP = SETTINGS.replace('chain = ["ready", "max-pending"]', 'chain = ["ready"]')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("changes"), SETTINGS) as made:
        yield made


@pytest.fixture(autouse=True)
def _as_it_was(factory: Running) -> Iterator[None]:
    yield
    factory.site.write(SETTINGS)
    factory.post("/v1/reload", None, ReloadResult)
    for entry in entries(factory.site):
        assert factory.change(entry["queue"], entry["key"], None)[0] == 200


def entries(site: Site) -> list[dict[str, Any]]:
    path = site.state / "overrides.toml"
    found: list[dict[str, Any]] = tomllib.loads(path.read_text()).get("entries", [])
    return found


def maximum(factory: Running, queue: str = "Q") -> tuple[object, str]:
    detail = factory.get("/v1/queue", QueueDetail, name=queue)
    value = next(v for v in detail.settings if v.key == "sched.max-pending.maximum")
    return value.value, value.layer


def actions(factory: Running) -> list[Action]:
    code, answer = factory.call("GET", "/v1/actions")
    assert code == 200
    return [Action.model_validate(a) for a in answer]


def undo(factory: Running, action: str) -> tuple[int, Any]:
    return factory.call("POST", "/v1/undo", {"action": action})


KEY = "sched.max-pending.maximum"


def test_a_change_is_in_the_file_the_ledger_and_the_queue(factory: Running) -> None:
    code, done = factory.change("Q", KEY, 7, why="site asked")
    assert code == 200
    assert maximum(factory) == (7, "override")
    assert maximum(factory, "R") == (100, "defaults")
    (entry,) = entries(factory.site)
    assert (entry["value"], entry["why"], entry["action"]) == (7, "site asked", done["id"])
    newest = actions(factory)[0]
    assert (newest.id, newest.state, newest.why) == (done["id"], "applied", "site asked")


def test_by_is_the_peer_and_never_what_a_client_says(factory: Running) -> None:
    loginuid = Path("/proc/self/loginuid")
    told = int(loginuid.read_text()) if loginuid.exists() else 0xFFFFFFFF
    me = str(Peer(os.getpid(), os.geteuid(), None if told == 0xFFFFFFFF else told))
    assert pwd.getpwuid(os.geteuid()).pw_name in me
    assert factory.change("Q", KEY, 7)[1]["by"] == me
    assert entries(factory.site)[0]["by"] == me
    body = {"changes": [{"queue": "Q", "key": KEY, "value": 8}], "by": "somebody"}
    assert factory.call("POST", "/v1/changes", body)[0] == 400
    assert maximum(factory)[0] == 7


def test_a_change_of_what_one_no_longer_sees_is_refused_with_the_diff(factory: Running) -> None:
    seen = factory.queue("Q").revision
    assert factory.change("Q", KEY, 7, revision=seen)[0] == 200
    code, answer = factory.change("Q", "paused", True, revision=seen)
    assert code == 409
    assert "changed since" in answer["error"]
    (diff,) = answer["diff"]
    assert diff.startswith(f"{KEY}: ")
    assert diff.endswith(" -> 7 (override)")
    assert factory.queue("Q").state != "paused"
    assert factory.change("Q", "paused", True, revision=factory.queue("Q").revision)[0] == 200


def test_another_queue_s_change_makes_nobody_s_view_stale(factory: Running) -> None:
    seen = factory.queue("Q").revision
    assert factory.change("R", KEY, 7)[0] == 200
    assert factory.change("Q", KEY, 8, revision=seen)[0] == 200


def test_changes_are_made_together_or_not_at_all(factory: Running) -> None:
    before = len(actions(factory))
    body = {
        "changes": [
            {"queue": "Q", "key": KEY, "value": 7},
            {"queue": "R", "key": KEY, "value": -7},
        ]
    }
    assert factory.call("POST", "/v1/changes", body)[0] == 400
    assert maximum(factory)[0] == 100
    assert len(actions(factory)) == before


def test_undo_puts_back_no_override(factory: Running) -> None:
    _, done = factory.change("Q", KEY, 7)
    code, undone = undo(factory, done["id"])
    assert (code, undone["undoes"]) == (200, done["id"])
    assert maximum(factory) == (100, "defaults")
    assert entries(factory.site) == []


def test_undo_puts_back_the_override_before(factory: Running) -> None:
    factory.change("Q", KEY, 7, why="first")
    first = entries(factory.site)
    _, second = factory.change("Q", KEY, 8)
    assert undo(factory, second["id"])[0] == 200
    assert entries(factory.site) == first


def test_undo_of_an_undo(factory: Running) -> None:
    _, done = factory.change("Q", KEY, 7)
    _, undone = undo(factory, done["id"])
    assert undo(factory, undone["id"])[0] == 200
    assert maximum(factory)[0] == 7


def test_undo_after_somebody_else_s_change_is_refused(factory: Running) -> None:
    _, mine = factory.change("Q", KEY, 7)
    factory.change("Q", KEY, 8)
    code, answer = undo(factory, mine["id"])
    assert code == 409
    assert "changed since" in answer["error"]
    assert maximum(factory)[0] == 8


def test_a_change_that_would_last_for_ever_is_given_no_end(factory: Running) -> None:
    code, answer = factory.change("Q", "paused", True, until=time.time() + 999_999_999 * 86400)
    assert code == 400
    assert "more than ten years; give no end" in answer["error"]


def test_a_reason_is_one_clean_line_wherever_it_is_told(factory: Running) -> None:
    factory.change("Q", "paused", True, why="a\nb\x1b[2J")
    code, done = factory.change("Q", "paused", None, why="a\nb\x1b[2J")
    assert (code, done["why"]) == (200, "a\\x0ab\\x1b[2J")
    assert {a.why for a in actions(factory)[:2]} == {done["why"]}


def test_an_override_ends_by_itself_and_that_is_on_record(factory: Running) -> None:
    until = time.time() + 1
    assert factory.change("Q", "paused", True, until=until)[0] == 200
    assert factory.queue("Q").state == "paused"
    factory.until(lambda s: s.queues[0].state == "ok", 10)
    assert time.time() >= until
    assert entries(factory.site) == []
    newest = actions(factory)[0]
    assert (newest.by, newest.state, newest.what) == ("expiry", "applied", "Q: paused expired")


def test_an_orphan_is_shown_and_never_comes_back_by_itself(factory: Running) -> None:
    site = factory.site
    assert factory.change("Q", KEY, 7)[0] == 200
    site.write(WITHOUT_CAP)
    factory.post("/v1/reload", None, ReloadResult)
    (orphan,) = factory.status().factory.orphans
    assert (orphan.queue, orphan.key, orphan.value) == ("Q", KEY, 7)
    assert orphan.problem
    assert entries(site)[0]["orphaned"]
    site.write(SETTINGS)
    factory.post("/v1/reload", None, ReloadResult)
    assert maximum(factory) == (100, "defaults")
    assert [o.key for o in factory.status().factory.orphans] == [KEY]
    assert factory.change("Q", KEY, 9)[0] == 200
    assert factory.status().factory.orphans == ()
    assert maximum(factory) == (9, "override")


def test_what_another_chain_sets_aside_comes_back_with_its_undo_and_not_by_itself(
    factory: Running,
) -> None:
    site = factory.site
    assert factory.change("Q", KEY, 7)[0] == 200
    kept = entries(site)
    _, other = factory.change("Q", "chain", ["ready"])
    assert [o.key for o in factory.status().factory.orphans] == [KEY]
    assert entries(site)[0]["orphaned"]
    assert undo(factory, other["id"])[0] == 200
    assert entries(site) == kept
    assert maximum(factory) == (7, "override")
    assert factory.change("Q", "chain", ["ready"])[0] == 200
    assert factory.change("Q", "chain", None)[0] == 200
    assert maximum(factory) == (100, "defaults")
    assert [o.key for o in factory.status().factory.orphans] == [KEY]


def test_an_override_of_a_queue_that_left_is_an_orphan_too(factory: Running) -> None:
    assert factory.change("R", "paused", True)[0] == 200
    factory.site.write(SETTINGS.replace("[queues.R]\n", ""))
    assert factory.post("/v1/reload", None, ReloadResult).removed == ("R",)
    assert [(o.queue, o.key) for o in factory.status().factory.orphans] == [("R", "paused")]
    factory.site.write(SETTINGS)
    factory.post("/v1/reload", None, ReloadResult)
    factory.until(lambda _: factory.queue("R").state == "ok")
    assert [(o.queue, o.key) for o in factory.status().factory.orphans] == [("R", "paused")]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (SETTINGS.replace("maximum = 100", "maximun = 100"), "did you mean maximum"),
        (SETTINGS + "[queues.Z\n", "factory.toml"),
        (SETTINGS.replace('name = "test-01"', 'name = "another"'), "[factory] name has changed"),
        (SETTINGS.replace('wrapper = "directory"', 'wrapper = "generic"'), "command"),
    ],
)
def test_a_bad_reload_is_refused_whole(factory: Running, bad: str, said: str) -> None:
    before = factory.queue("Q").revision
    text = bad.replace("maximum = 100", "maximum = 55")  # what is good in it is not taken either
    factory.site.config.write_text(text)
    code, answer = factory.call("POST", "/v1/reload")
    assert code in (400, 503)
    assert said in answer["error"]
    status = factory.status()
    (alarm,) = status.factory.alarms
    assert alarm.startswith("the last reload was refused")
    assert said in alarm
    assert status.queues[0].revision == before
    assert maximum(factory)[0] == 100
    factory.site.write(SETTINGS)
    factory.post("/v1/reload", None, ReloadResult)
    assert factory.status().factory.alarms == ()


def test_sighup_reloads(factory: Running) -> None:
    factory.site.write(SETTINGS.replace("maximum = 100", "maximum = 42"))
    factory.signal(signal.SIGHUP)
    factory.until(lambda _: maximum(factory)[0] == 42, 5)
    factory.site.config.write_text("[factory")
    factory.signal(signal.SIGHUP)
    factory.until(lambda s: any("refused" in a for a in s.factory.alarms), 5)
    assert maximum(factory)[0] == 42
    assert "reload refused" in factory.log()

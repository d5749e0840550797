"""The snapshot: everything first, then what changed, in pages, at once, and anew after a boot."""

import threading
import time
from collections.abc import Iterator

import pytest

from core.api.models import ReloadResult, Snapshot
from tests.running import Running, Site, local_settings

QUEUES = "".join(f"[queues.Q{i}]\n" for i in range(5))


def settings(queues: str) -> str:
    """One poll and one pass, then nothing changes by itself: every poll gives new ages."""
    return local_settings(queues).replace(" = 0.2", " = 60")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("snapshot"), settings(QUEUES)) as made:
        yield made


def take(factory: Running, **query: object) -> Snapshot:
    return factory.get("/v1/snapshot", Snapshot, **query)


def quiet(factory: Running) -> Snapshot:
    """Return a full snapshot after which nothing changes by itself."""
    factory.until(lambda s: all(q.decision and q.state == "ok" for q in s.queues))
    return take(factory)


def test_the_first_is_full_and_the_next_tells_only_what_changed(factory: Running) -> None:
    first = quiet(factory)
    assert first.full
    assert sorted(q.name for q in first.queues) == [f"Q{i}" for i in range(5)]
    nothing = take(factory, boot=first.boot, after=first.version)
    assert (nothing.full, nothing.queues, nothing.gone) == (False, (), ())
    assert nothing.version == first.version
    assert factory.change("Q3", "paused", True)[0] == 200
    delta = take(factory, boot=first.boot, after=first.version)
    assert not delta.full
    assert [(q.name, q.state) for q in delta.queues] == [("Q3", "paused")]
    assert delta.version > first.version
    assert factory.change("Q3", "paused", None)[0] == 200


def test_pages_add_up_and_only_the_last_says_that_it_is_the_last(factory: Running) -> None:
    quiet(factory)
    page = take(factory, limit=2)
    got, pages = list(page.queues), 1
    assert page.full
    while page.more:
        page = take(factory, boot=page.boot, after=page.version, limit=2)
        assert not page.full
        got += page.queues
        pages += 1
    assert sorted(q.name for q in got) == [f"Q{i}" for i in range(5)]
    assert pages == 3


def test_another_boot_or_a_version_of_the_future_gets_everything(factory: Running) -> None:
    now = quiet(factory)
    for query in (
        {"boot": "another", "after": now.version},
        {"boot": now.boot, "after": now.version + 1000},
        {"boot": now.boot, "after": 0},
        {"boot": now.boot, "after": -5},
    ):
        answer = take(factory, **query, wait=20)
        assert answer.full
        assert len(answer.queues) == 5


def test_a_long_poll_wakes_at_once(factory: Running) -> None:
    now = quiet(factory)
    done: list[float] = []

    def change() -> None:
        time.sleep(0.3)
        done.append(time.monotonic())
        factory.change("Q1", "paused", True)

    thread = threading.Thread(target=change)
    thread.start()
    after, seen = now.version, None
    while seen is None:  # a poll also ends with news of the factory itself
        answer = take(factory, boot=now.boot, after=after, wait=5)
        after = answer.version
        seen = next((q for q in answer.queues if q.name == "Q1"), None)
    heard = time.monotonic()
    thread.join()
    assert seen.state == "paused"
    assert "paused by" in seen.reason
    assert heard - done[0] < 0.5
    assert factory.change("Q1", "paused", None)[0] == 200


def test_a_queue_that_left_the_settings_is_gone(factory: Running) -> None:
    now = quiet(factory)
    try:
        factory.site.write(settings(QUEUES.replace("[queues.Q4]\n", "")))
        assert factory.post("/v1/reload", None, ReloadResult).removed == ("Q4",)
        after = take(factory, boot=now.boot, after=now.version)
        assert after.gone == ("Q4",)
        assert take(factory).gone == ()
        assert len(take(factory).queues) == 4
    finally:
        factory.site.write(settings(QUEUES))
    assert factory.post("/v1/reload", None, ReloadResult).added == ("Q4",)
    back = take(factory, boot=now.boot, after=now.version)
    assert "Q4" in {q.name for q in back.queues}
    assert back.gone == ()


def test_a_new_factory_has_a_new_boot(factory: Running) -> None:
    old = take(factory)
    assert factory.stop() == 0
    again = factory.site.start()
    answer = take(again, boot=old.boot, after=old.version, wait=20)
    assert answer.full
    assert answer.boot != old.boot

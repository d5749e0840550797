"""Exactly once, part by part, on real worker processes, a real ledger and `local`."""

import fcntl
import os
import signal
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest

from core.model.errors import SubmitRefused
from core.model.submission import Intent, IntentState, PilotJob
from core.run.books import Books
from core.run.generation import submit_worker
from core.run.lookup import Lookup
from core.run.opening import State, open_state
from core.run.outstanding import Outstanding
from core.run.submission import MOST_AT_ONCE, Order, Submitter, ids_for
from core.run.worker import Worker
from core.run.writer import Writer
from core.settings.load import read_layers, resolve
from core.settings.overrides import NO_OVERRIDES
from core.settings.schema import Settings
from core.state import clock
from core.state.ledger import Ledger
from core.state.lock import no_submitter_lives, open_submit_lock, share_submit_lock
from plugins.local import pilots
from tests.running import local_settings

# -- what is outstanding ---------------------------------------------------------------------------


def intent(n: int = 3, state: IntentState = IntentState.INTENT, **more: Any) -> Intent:
    fields: dict[str, Any] = {
        "submission": str(uuid.uuid4()),
        "queue": "Q",
        "batch": "here",
        "submit_plugin": "local",
        "schedd": "local",
        "n": n,
        "epoch": 1,
        "cycle": 1,
        "wrapper": "w",
        "description": "",
        "state": state,
        "at": clock.wall(),
        "boottime": clock.boottime(),
        "boot_id": clock.boot_id(),
    }
    return Intent(**{**fields, **more})


def resolved(n: int, state: IntentState, ago: float, **more: Any) -> Intent:
    return intent(
        n,
        state,
        resolved_at=clock.wall() - ago,
        resolved_boottime=clock.boottime() - ago,
        **more,
    )


def test_what_is_unknown_counts_in_full_and_what_is_absent_not_at_all() -> None:
    confirmed = resolved(2, IntentState.CONFIRMED, 10.0)
    outstanding = Outstanding(
        [
            intent(3),
            intent(5, IntentState.CONFLICT),
            confirmed,
            resolved(7, IntentState.ABSENT, 10.0),
            intent(11, batch="elsewhere"),
            intent(13, queue="R"),
        ]
    )
    sent = outstanding.sent("Q", "here")
    assert sorted(s.n for s in sent if s.at is None) == [3, 5]
    assert [(s.n, s.at) for s in sent if s.at is not None] == [(2, confirmed.resolved_boottime)]


def test_the_oldest_open_intent_blocks_its_queue_alone() -> None:
    old, new = intent(at=1000.0), intent(at=2000.0)
    outstanding = Outstanding([new, old, resolved(1, IntentState.CONFIRMED, 1.0, queue="R")])
    assert outstanding.blocking("Q") == old
    assert outstanding.blocking("R") is None
    outstanding.put(old.model_copy(update={"state": IntentState.ABSENT}))
    assert outstanding.blocking("Q") == new


def test_what_is_open_is_never_forgotten() -> None:
    kept = intent(boottime=0.0)
    outstanding = Outstanding([kept, resolved(1, IntentState.CONFIRMED, 500.0)])
    outstanding.forget(clock.boottime())
    assert outstanding.unresolved() == [kept]
    assert [s.n for s in outstanding.sent("Q", "here")] == [3]


@pytest.mark.parametrize(("ago", "expected"), [(100.0, 100.0), (-3600.0, 0.0)])
def test_a_receipt_of_another_boot_is_never_in_the_future(ago: float, expected: float) -> None:
    # -3600: the clock has gone back an hour since.
    other = resolved(1, IntentState.CONFIRMED, ago, boot_id="another boot")
    (sent,) = Outstanding([other]).sent("Q", "here")
    assert sent.at is not None
    assert clock.boottime() - sent.at == pytest.approx(expected, abs=1.0)


def test_every_submission_has_an_id_of_its_own() -> None:
    assert ids_for(0) == ()
    assert len(ids_for(MOST_AT_ONCE)) == 1
    many = ids_for(2 * MOST_AT_ONCE + 1)
    assert len(set(many)) == 3
    assert all(str(uuid.UUID(one)) == one for one in many)


# -- the worker that submits -----------------------------------------------------------------------


class Bench(NamedTuple):
    """All that one submitter needs, in a folder of its own."""

    settings: Settings
    state: State
    outstanding: Outstanding
    books: Books
    worker: Worker
    submitter: Submitter
    pilots: Path


@asynccontextmanager
async def bench(folder: Path, batch: str = "slots = 1") -> AsyncIterator[Bench]:
    config = folder / "factory.toml"
    config.write_text(local_settings("[queues.Q]\n", batch=batch))
    settings = resolve(read_layers(config), NO_OVERRIDES)
    path = folder / "pilots"
    path.mkdir(exist_ok=True)
    state = await open_state(settings.factory, "console")
    writer, outstanding = Writer(), Outstanding(state.reader.recent(0.0))
    table = settings.batch["here"]
    worker = submit_worker(table, "local", settings.factory.state, state.epoch)
    books = Books(state, writer, outstanding, lambda: None)
    lookup = Lookup(table, "local", worker, books, settings.factory.name)
    submitter = Submitter(
        table, "local", worker, books, lookup, lambda: pilots.schedd(path), lambda _: True
    )
    try:
        yield Bench(settings, state, outstanding, books, worker, submitter, path)
    finally:
        await worker.close()
        state.reader.close()
        state.ledger.close()
        state.lock.release()


@asynccontextmanager
async def at_work(one: Bench) -> AsyncIterator[None]:
    """Let the submitter run, from its sweep on."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.submitter.run)
        one.submitter.wake()
        with anyio.fail_after(20):
            await one.submitter.swept.wait()
        yield
        one.submitter.stop()


def job(state: State) -> dict[str, Any]:
    return {
        "factory": "test-01",
        "instance": state.instance,
        "queue": "Q",
        "wrapper": "w",
        "executable": "/bin/true",
        "log_dir": "/tmp",
    }


def order(one: Bench, n: int) -> Order:
    return Order(
        queue="Q",
        n=n,
        job=job(one.state),
        submit_params={},
        cycle=1,
        wrapper="w",
        submissions=ids_for(n),
    )


def on_disk(one: Bench) -> dict[str, int]:
    """Return what `local` has: submission → pilots."""
    found = [*pilots.live(one.pilots), *pilots.live(one.pilots / "ended")]
    return {s.job.submission: len([p for p in s.pilots() if p.is_dir()]) for s in found}


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not true():
            await anyio.sleep(0.01)


def states(one: Bench) -> dict[str, IntentState]:
    return {i.submission: i.state for i in one.state.reader.newest(100)}


def all_settled(one: Bench, n: int) -> bool:
    found = states(one)
    return len(found) == n and IntentState.INTENT not in found.values()


async def written(one: Bench, **more: Any) -> Intent:
    """Write an intent as a submitter would, and send nothing."""
    wanted = PilotJob(submission=str(uuid.uuid4()), n=2, **job(one.state))
    description = await one.worker.call(
        "describe", 20.0, job=wanted.model_dump(mode="json"), params={}
    )
    made = intent(
        2,
        submission=wanted.submission,
        description=description,
        schedd=pilots.schedd(one.pilots),
        **more,
    )
    one.state.ledger.write_intents([made])
    return made


async def test_an_order_becomes_one_submission_per_thousand(tmp_path: Path) -> None:
    async with bench(tmp_path) as one, at_work(one):
        wanted = order(one, MOST_AT_ONCE + 1)
        one.submitter.order(wanted)
        assert one.submitter.busy
        await until(lambda: all_settled(one, 2))
    assert on_disk(one) == dict(zip(wanted.submissions, (MOST_AT_ONCE, 1), strict=True))


async def test_a_submitter_of_an_older_factory_gives_up(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        made = await written(one)
        one.state.ledger.next_epoch()
        with pytest.raises(SubmitRefused, match="a newer factory has taken over"):
            await one.worker.call("submit", 20.0, submission=made.submission)
        assert on_disk(one) == {}


async def test_what_has_its_outcome_or_was_never_written_is_not_sent(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        made = await written(one)
        one.state.ledger.resolve(made.submission, IntentState.ABSENT, "by hand")
        for submission in (made.submission, str(uuid.uuid4())):
            with pytest.raises(SubmitRefused, match="no open intent"):
                await one.worker.call("submit", 20.0, submission=submission)
        assert on_disk(one) == {}


@contextmanager
def submit_lock(one: Bench) -> Iterator[int]:
    fd = open_submit_lock(one.settings.factory.state)
    yield fd
    os.close(fd)


async def test_a_new_factory_waits_until_the_old_submitter_is_dead(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await written(one)  # the worker runs now
        assert one.worker.pid is not None
        os.kill(one.worker.pid, signal.SIGSTOP)  # it could go on at any time
        with submit_lock(one) as fd:
            assert not no_submitter_lives(fd)
            one.state.lock.release()
            opened: list[State] = []

            async def next_factory() -> None:
                opened.append(await open_state(one.settings.factory, "console"))

            with anyio.fail_after(20):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(next_factory)
                    await anyio.sleep(0.3)
                    assert opened == []
                    await one.worker.close()
            assert no_submitter_lives(fd)
        assert opened[0].epoch == one.state.epoch + 1
        opened[0].ledger.close()
        opened[0].reader.close()


async def test_no_submitter_begins_before_the_new_epoch_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the old factory that was late would still find its own epoch, and submit."""
    async with bench(tmp_path) as one:
        one.state.lock.release()
        next_epoch = Ledger.next_epoch
        late: list[str] = []

        def next_epoch_while_one_begins(ledger: Ledger) -> int:
            with submit_lock(one) as fd:
                try:
                    fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    late.append("waits")
                else:
                    late.append("submits")
            return next_epoch(ledger)

        monkeypatch.setattr(Ledger, "next_epoch", next_epoch_while_one_begins)
        state = await open_state(one.settings.factory, "console")
        assert late == ["waits"]
        assert state.epoch == one.state.epoch + 1
        with submit_lock(one) as fd:
            share_submit_lock(fd)  # from now on it may begin
        state.ledger.close()
        state.reader.close()


async def test_a_submission_killed_at_its_deadline_is_looked_for_and_halves_the_next(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path, "slots = 1\nsubmit_deadline = 0.4") as one, at_work(one):
        write = one.books.write
        stopped: list[int] = []

        async def write_and_stop_the_worker(intents: Sequence[Intent]) -> None:
            await write(intents)
            if not stopped:
                assert one.worker.pid is not None
                stopped.append(one.worker.pid)
                os.kill(one.worker.pid, signal.SIGSTOP)

        one.books.write = write_and_stop_the_worker  # type: ignore[method-assign]
        one.submitter.order(order(one, 8))
        await until(lambda: bool(states(one)))
        why = one.submitter.why_not("Q")
        assert why is not None
        assert why[0] == "unresolved"
        assert one.submitter.why_not("R") is None
        await until(lambda: all_settled(one, 1))
        (settled,) = one.state.reader.newest(1)
        assert settled.state is IntentState.ABSENT
        assert settled.detail.startswith("not on the schedd")
        assert "no answer to submit within 0.4 s" in settled.detail
        await until(lambda: "no answer to submit" in one.submitter.refused.get("Q", ""))
        assert not Path(f"/proc/{stopped[0]}").exists()
        assert on_disk(one) == {}
        assert one.submitter.limit == 4
        assert one.submitter.why_not("Q") is None
        one.submitter.order(order(one, 4))
        await until(lambda: all_settled(one, 2))
        assert list(on_disk(one).values()) == [4]
        assert one.submitter.limit == 8
        assert one.submitter.refused == {}


async def test_what_came_in_without_a_receipt_is_found(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        made = await written(one)
        await one.worker.call("submit", 20.0, submission=made.submission)
        absent = await written(one)
    async with bench(tmp_path) as one, at_work(one):  # the next factory
        await until(lambda: all_settled(one, 2))
        assert states(one) == {
            made.submission: IntentState.CONFIRMED,
            absent.submission: IntentState.ABSENT,
        }
        assert one.outstanding.unresolved() == []
        assert one.books.alarms == {}
    assert on_disk(one) == {made.submission: 2}


async def test_of_an_old_one_that_is_not_there_only_its_end_is_sure(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await written(one, at=clock.wall() - 3600)
    async with bench(tmp_path) as one, at_work(one):
        await until(lambda: all_settled(one, 1))
        (settled,) = one.state.reader.newest(1)
        assert settled.state is IntentState.ABSENT
        assert settled.detail.endswith("given up")


async def test_one_that_was_taken_for_absent_and_is_there_is_counted_with_an_alarm(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        made = await written(one)
        await one.worker.call("submit", 20.0, submission=made.submission)
        one.state.ledger.resolve(made.submission, IntentState.ABSENT, "an operator's error")
    async with bench(tmp_path) as one, at_work(one):
        assert states(one) == {made.submission: IntentState.CONFIRMED}
        assert any("was taken for absent and is on" in a for a in one.books.alarms.values())


async def test_a_refusal_is_final_and_said(tmp_path: Path) -> None:
    async with bench(tmp_path) as one, at_work(one):
        wanted = order(one, 1)
        one.submitter.order(wanted._replace(job={**wanted.job, "executable": "/no/such/file"}))
        await until(lambda: all_settled(one, 1))
        assert list(states(one).values()) == [IntentState.ABSENT]
        assert "cannot execute /no/such/file" in one.submitter.refused["Q"]
        one.submitter.order(order(one, 1))
        await until(lambda: all_settled(one, 2))
        assert one.submitter.refused == {}


async def test_nothing_is_sent_that_the_ledger_does_not_take(tmp_path: Path) -> None:
    async with bench(tmp_path) as one, at_work(one):
        one.state.ledger._db.execute("pragma query_only = on")
        one.submitter.order(order(one, 1))
        await until(lambda: not one.submitter.busy)
        assert "nothing is submitted" in one.books.alarms["ledger"]
        assert on_disk(one) == {}
        one.state.ledger._db.execute("pragma query_only = off")
        one.submitter.order(order(one, 1))
        await until(lambda: all_settled(one, 1))
        assert one.books.alarms == {}
        assert len(on_disk(one)) == 1


async def test_an_outcome_that_could_not_be_written_stays_unknown_until_it_can(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one, at_work(one):
        write = one.books.write

        async def write_the_last_before_the_disk_is_full(intents: Sequence[Intent]) -> None:
            await write(intents)
            one.state.ledger._db.execute("pragma query_only = on")

        one.books.write = write_the_last_before_the_disk_is_full  # type: ignore[method-assign]
        one.submitter.order(order(one, 2))
        await until(lambda: "ledger" in one.books.alarms and bool(on_disk(one)))
        blocking = one.submitter.why_not("Q")
        assert blocking is not None
        assert blocking[0] == "unresolved"
        one.state.ledger._db.execute("pragma query_only = off")
        await until(lambda: all_settled(one, 1))
        assert list(states(one).values()) == [IntentState.CONFIRMED]
        await until(lambda: one.submitter.why_not("Q") is None)


async def test_of_a_lost_ledger_there_is_one_alarm(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        for _ in range(3):
            made = await written(one)
            await one.worker.call("submit", 20.0, submission=made.submission)
        one.state.ledger._db.execute("delete from intents")
    async with bench(tmp_path) as one, at_work(one):
        assert list(states(one).values()) == [IntentState.CONFIRMED] * 3
        (alarm,) = one.books.alarms.values()
        assert alarm.startswith("6 pilots of 3 submissions found on")


async def test_the_ledger_has_the_last_word_on_what_is_looked_for(tmp_path: Path) -> None:
    """An operator's word on an intent while a look for it fails."""
    async with bench(tmp_path) as one:
        made = await written(one)
        one.outstanding.put(made)
        one.state.ledger.resolve(made.submission, IntentState.ABSENT, "by hand")
        async with at_work(one):
            await until(lambda: one.submitter.why_not("Q") is None)


async def test_a_ledger_that_cannot_be_read_ends_no_submitter(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        made = await written(one)
        one.outstanding.put(made)
        read = one.state.reader.intent

        def broken(submission: str) -> Intent | None:
            one.state.reader.intent = read  # type: ignore[method-assign]
            raise sqlite3.OperationalError("disk I/O error")

        one.state.reader.intent = broken  # type: ignore[method-assign]
        async with at_work(one):
            await until(lambda: all_settled(one, 1))

"""The board: readers get what changed since their version, page by page, and nothing else."""

import anyio
import pytest

from core.model.facts import BatchFacts, Facts, WmsFacts
from core.run.board import Board, Row, status
from core.run.views import QueueState


def row(
    name: str, pending: int = 0, *, state: QueueState = "ok", batch_at: float | None = 100.0
) -> Row:
    return Row(
        name=name,
        state=state,
        reason="",
        facts=Facts(
            wms=WmsFacts(activated=None, problem="not asked yet"),
            batch=BatchFacts(pending=pending, held=0, running=0),
        ),
        hold_reason="",
        leaving=None,
        done=None,
        failed=None,
        wms_at=None,
        batch_at=batch_at,
        decision=None,
        decided_at=None,
        cycle=None,
        submitted=0,
        wms_name="jobs",
        batch_name="here",
        schedd="",
        wrapper="generic",
        wrapper_version="shipped",
        wrapper_sha="ab",
        revision="1",
    )


def names(board: Board, after: int, limit: int = 100) -> list[str]:
    return [q.name for q in board.since(after, limit, 100.0)[0]]


def test_a_reader_gets_only_what_changed_since_its_version() -> None:
    board = Board()
    board.show([row("A"), row("B"), row("C")])
    seen = board.version
    assert names(board, 0) == ["A", "B", "C"]
    assert names(board, seen) == []
    board.show([row("A"), row("B", pending=1), row("C")])
    assert names(board, seen) == ["B"]
    assert board.since(seen, 100, 100.0)[0][0].pending == 1


def test_a_row_that_stays_the_same_makes_no_news() -> None:
    board = Board()
    board.show([row("A")])
    seen = board.version
    board.show([row("A")])
    assert board.version == seen


def test_pages_add_up_to_the_whole_and_say_when_there_is_more() -> None:
    board = Board()
    board.show([row(f"Q{i}") for i in range(5)])
    got, after, rounds = [], 0, 0
    while True:
        page, more = board.since(after, 2, 100.0)
        got += [q.name for q in page]
        rounds += 1
        if not more:
            break
        after = page[-1].version
    assert got == [f"Q{i}" for i in range(5)]
    assert rounds == 3


def test_what_changes_between_two_pages_comes_in_a_later_page() -> None:
    board = Board()
    rows = [row(f"Q{i}") for i in range(4)]
    board.show(rows)
    first, more = board.since(0, 2, 100.0)
    assert more
    board.show([row("Q0", pending=7), *rows[1:]])
    rest, more = board.since(first[-1].version, 10, 100.0)
    assert not more
    assert [(q.name, q.pending) for q in rest] == [("Q2", 0), ("Q3", 0), ("Q0", 7)]


def test_a_queue_that_went_is_told_until_it_comes_back() -> None:
    board = Board()
    board.show([row("A"), row("B")])
    seen = board.version
    board.show([row("A")])
    assert board.gone(seen) == ("B",)
    assert board.gone(board.version) == ()
    assert board.row("B") is None
    board.show([row("A"), row("B")])
    assert board.gone(seen) == ()
    assert names(board, seen) == ["B"]


def test_ages_grow_without_a_change_and_are_never_negative() -> None:
    at_100 = row("A", batch_at=100.0)
    assert status(at_100, 1, 103.5).batch.age_s == 3.5
    assert status(at_100, 1, 99.0).batch.age_s == 0.0
    assert status(at_100, 1, 99.0).wms.age_s is None


async def test_a_reader_that_waits_hears_at_once() -> None:
    board = Board()
    board.show([row("A")])
    heard: list[int] = []

    async def read() -> None:
        await board.wait(board.version, 30.0)
        heard.append(board.version)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            assert heard == []
            board.show([row("A", pending=1)])
    assert heard == [board.version]


async def test_a_reader_that_is_behind_does_not_wait() -> None:
    board = Board()
    board.show([row("A")])
    with anyio.fail_after(1):
        await board.wait(0, 30.0)


async def test_a_reader_of_an_empty_board_waits_too() -> None:
    board = Board()
    assert board.version > 0  # 0 asks for everything, and is answered at once
    with anyio.move_on_after(0.05) as waited:
        await board.wait(board.version, 30.0)
    assert waited.cancelled_caught


@pytest.mark.parametrize("state", ["blind", "paused", "draining", "error"])
def test_a_change_of_state_alone_is_news(state: QueueState) -> None:
    board = Board()
    board.show([row("A")])
    seen = board.version
    board.show([row("A", state=state)])
    assert names(board, seen) == ["A"]

"""How long the table takes, measured beside Textual's own table on the same machine."""

import time
from pathlib import Path
from statistics import median

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import DataTable

from apftui.console.app import ConsoleApp
from core.api.models import QueueStatus, Snapshot
from tests.console import scenes

SIZE = (200, 60)
ROUNDS = 7


class Bare(App[None]):
    """Nothing but Textual's table, with as many rows and columns."""

    def compose(self) -> ComposeResult:
        yield DataTable[str]()


def other_numbers(queues: list[QueueStatus], round_: int) -> tuple[QueueStatus, ...]:
    return tuple(q.model_copy(update={"running": round_ + i}) for i, q in enumerate(queues))


async def settled(pilot: Pilot[None]) -> None:
    await pilot.pause()
    await pilot.pause()


async def datatable() -> float:
    """CPU seconds to change every cell of 1,000 rows and to draw them."""
    app = Bare()
    async with app.run_test(size=SIZE) as pilot:
        table = app.query_one(DataTable)
        columns = table.add_columns(*(f"column {i}" for i in range(9)))
        rows = [table.add_row(*["0"] * 9) for _ in range(1000)]
        await settled(pilot)
        spent = []
        for round_ in range(ROUNDS):
            start = time.process_time()
            for row in rows:
                for column in columns:
                    table.update_cell(row, column, str(round_ + 1))
            await settled(pilot)
            spent.append(time.process_time() - start)
    return median(spent)


async def ours(path: Path) -> tuple[float, float, float]:
    """CPU seconds for 1,000 changed queues; for one; and the longest hold on the event loop."""
    queues = scenes.thousand()
    app = ConsoleApp(path / "nobody", ticks=lambda: 100.0, wall=lambda: scenes.NOON)
    factory = scenes.factory()
    version = 0
    held: list[float] = []

    async def change(changed: tuple[QueueStatus, ...]) -> float:
        nonlocal version
        spent = 0.0
        pages = [changed[i : i + 200] for i in range(0, len(changed), 200)]
        for page in pages:
            version += 1
            snapshot = Snapshot(
                boot="b", version=version, full=version == 1, factory=factory, queues=page
            )
            start, wall = time.process_time(), time.perf_counter()
            app.store.apply(snapshot, 100.0)
            held.append(time.perf_counter() - wall)
            await settled(pilot)
            spent += time.process_time() - start
        return spent

    async with app.run_test(size=SIZE) as pilot:
        await change(tuple(queues))
        all_, one = [], []
        for round_ in range(ROUNDS):
            all_.append(await change(other_numbers(queues, round_)))
            one.append(await change((other_numbers(queues, round_ + 50)[3],)))
    return median(all_), median(one), median(held)


async def test_a_thousand_changed_queues_cost_less_than_in_textuals_table(tmp_path: Path) -> None:
    bare = await datatable()
    all_, one, held = await ours(tmp_path)
    told = f"DataTable {bare * 1e3:.1f} ms, ours {all_ * 1e3:.1f} ms, one row {one * 1e3:.1f} ms"
    print(f"{told}, a page holds the loop for {held * 1e3:.1f} ms")
    assert all_ < bare, told
    assert one < bare / 5, told

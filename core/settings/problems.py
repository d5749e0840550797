"""All that is wrong with the settings, told at once: file, table, key, cure."""

from collections.abc import Iterable
from typing import NamedTuple

from core.model.errors import SettingsError

_SHOWN = 40


class Problem(NamedTuple):
    """One thing that is wrong."""

    where: str
    """File."""
    table: str
    """`queues.Q.sched.max-pending`; empty if it concerns the whole file."""
    text: str
    cure: str
    key: tuple[str, ...] = ()
    """The keys below the queue that are to blame; for overrides."""

    def __str__(self) -> str:
        place = f"[{self.table}] " if self.table else ""
        return f"{self.where}: {place}{self.says}"

    @property
    def says(self) -> str:
        """Text and cure, for where the place is known."""
        return f"{self.text}; {self.cure}" if self.cure else self.text


def raise_all(problems: Iterable[Problem | SettingsError]) -> None:
    """Raise one SettingsError with every problem on a line of its own; none, no error."""
    lines = list(dict.fromkeys(line for p in problems for line in str(p).splitlines()))
    if not lines:
        return
    if len(lines) == 1:
        raise SettingsError(lines[0])
    shown = lines[:_SHOWN]
    if len(lines) > _SHOWN:
        shown.append(f"and {len(lines) - _SHOWN} more")
    raise SettingsError("\n".join([f"{len(lines)} problems in the settings:", *shown]))

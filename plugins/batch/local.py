"""local: each pilot is a process of this host."""

import os
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, field_validator

from core.model.answers import BatchAnswer, BatchCount, EndedAnswer
from core.model.plugin import Batch, Params
from core.settings.duration import seconds
from plugins.local import ended, pilots, starter
from plugins.local.pilots import State

SWEEP_EVERY = 600.0
"""Seconds between two looks for what is old enough to be deleted."""


class LocalParams(Params):
    path: Path = Field(description="Folder of the pilots' folders, logs in them; absolute.")
    slots: PositiveInt = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)),
        description="Most pilots that run at a time; by default one per core.",
        json_schema_extra={"unit": "pilots"},
    )
    keep: Annotated[PositiveFloat, BeforeValidator(seconds)] = Field(
        default=7 * 86400.0,
        ge=3600.0,
        description="How long folders of ended pilots are kept.",
        json_schema_extra={"unit": "seconds"},
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        if not path.is_absolute():
            raise ValueError(f"{str(path)!r} is not absolute: start it with /")
        return path


class LocalBatch(Batch[LocalParams]):
    """Counts pilots by the locks that their shims hold, and starts those that wait."""

    params = LocalParams
    tended = True

    def __init__(self, params: LocalParams) -> None:
        super().__init__(params)
        self._next_sweep = 0.0

    def poll(self, factory: str, instance: str) -> BatchAnswer:
        counts: dict[str, Counter[State]] = {}
        foreign: set[str] = set()
        for submission in pilots.live(self.settings.path):
            if submission.job.factory != factory:
                continue
            if submission.job.instance != instance:
                foreign.add(submission.job.instance)
                continue
            states = Counter(pilots.state(pilot) for pilot in submission.pilots())
            counts.setdefault(submission.job.queue, Counter()).update(states)
        return BatchAnswer(
            schedd=pilots.schedd(self.settings.path),
            counts=tuple(
                BatchCount(
                    queue=queue,
                    pending=of[State.PENDING],
                    running=of[State.RUNNING],
                    leaving=of[State.ENDED] + of[State.LOST],
                )
                for queue, of in sorted(counts.items())
            ),
            foreign=tuple(sorted(foreign)),
        )

    def ended(self, factory: str, instance: str, since: float) -> EndedAnswer:
        return EndedAnswer(ended.since(self.settings.path, factory, instance, since))

    def upkeep(self) -> list[str]:
        """Start waiting pilots up to the slots, file away what ended, delete what is old."""
        pilots.make(self.settings.path)
        lines = ended.file_away(self.settings.path)
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_EVERY
            lines += ended.delete_old(self.settings.path, self.settings.keep)
        return lines + starter.start_waiting(self.settings.path, self.settings.slots)

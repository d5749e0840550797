"""Errors that a tired operator can act on: what went wrong, and the cure."""

from collections.abc import Iterable


class ApftuiError(Exception):
    """An error with a cure.

    `str(error)` is what happened, where, and what to do about it, in one line.
    """

    def __init__(self, problem: str, cure: str = "") -> None:
        super().__init__(problem, cure)
        self.problem = problem
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.problem}; {self.cure}" if self.cure else self.problem


class SettingsError(ApftuiError):
    """The settings cannot be used; the factory keeps those it runs with."""


class StateError(ApftuiError):
    """The state folder cannot be used, or is in use."""


class SourceError(ApftuiError):
    """A source gave no usable answer: what it would have told is unknown, not zero."""


class SubmitRefused(ApftuiError):
    """Nothing was sent: the request was refused before any outside call could commit it."""


class Stale(ApftuiError):
    """Somebody changed it since it was read. `diff` says what differs now, line by line."""

    def __init__(self, problem: str, cure: str = "", diff: Iterable[str] = ()) -> None:
        super().__init__(problem, cure)
        self.diff = tuple(diff)


class NotFound(ApftuiError):
    """There is no such queue, intent or action."""

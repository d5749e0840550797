"""The filter's words: every one must fit. `cern`, `!test`, `state:blind`, `!state:ok`."""

from collections.abc import Callable

from core.api.models import QueueStatus

Fits = Callable[[QueueStatus], bool]

HELP = "part of a name, !part of others', state:blind, !state:ok; all must fit"


def parse(text: str) -> Fits:
    """Return the test for a queue. Case does not matter; a state may be cut short."""
    tests = [_test(word) for word in text.lower().split()]
    return lambda queue: all(test(queue) for test in tests)


def _test(word: str) -> Fits:
    wanted = not word.startswith("!")
    part = word.removeprefix("!")
    if part.startswith("state:"):
        state = part.removeprefix("state:")
        return lambda queue: not state or queue.state.startswith(state) is wanted
    return lambda queue: not part or (part in queue.name.lower()) is wanted

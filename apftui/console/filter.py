"""The filter's words: every one must fit. `cern`, `!test`, `state:blind`, `!state:ok`."""

from collections.abc import Callable

from core.api.models import QueueStatus

Fits = Callable[[QueueStatus], bool]

HELP = "part of a name, !part of others', state:blind, !state:ok; all must fit"


def parse(text: str) -> Fits:
    """Return the test for a queue. Case does not matter; a state may be cut short."""
    wanted, barred, states, barred_states = [], [], [], []
    for word in text.lower().split():
        bar, word = word.startswith("!"), word.removeprefix("!")
        if word.startswith("state:"):
            (barred_states if bar else states).append(word.removeprefix("state:"))
        elif word:
            (barred if bar else wanted).append(word)

    def fits(queue: QueueStatus) -> bool:
        name = queue.name.lower()
        return (
            all(word in name for word in wanted)
            and not any(word in name for word in barred)
            and all(queue.state.startswith(word) for word in states)
            and not any(word and queue.state.startswith(word) for word in barred_states)
        )

    return fits

"""The help: every key that works on the screen it was asked from."""

from collections.abc import Callable, Sequence

from textual.binding import ActiveBinding, Binding

from apftui.console import pages
from apftui.console.commands import BY_NAME, SECTIONS
from apftui.console.widgets.paint import Line, fitted

WORDS: tuple[tuple[str, str], ...] = (
    ("act", "activated payload jobs: ready to be fetched by a pilot"),
    ("pend, run, held", "pilots that wait, run, or are on hold in the batch system"),
    ("last", "the last decision: +3 pilots, 0, or blind: a needed number is unknown"),
    ("bound by", "the limit that lowered that number last"),
    ("paused", "an operator stopped it: no new pilots; those that are there go on"),
    ("draining", "the same until no pilot is left, then drained; or it left the settings"),
    ("offline", "the WMS says offline or brokeroff, and the chain looks at that"),
    ("?", "unknown; it is never counted as 0"),
    ("/", "filter: part of a name, !part of others', state:blind, !state:ok"),
)


def lines(
    active: dict[str, ActiveBinding], show: Callable[[Binding], str]
) -> Callable[[int], Sequence[Line]]:
    """Return the help as a function of the width. `show` gives a key's name."""
    keys: dict[str, list[str]] = {}
    greyed = set()
    for each in active.values():
        if each.binding.action in BY_NAME:
            keys.setdefault(each.binding.action, []).append(show(each.binding))
            if not each.enabled:
                greyed.add(each.binding.action)

    def page(width: int) -> Sequence[Line]:
        told: list[Line] = []
        for prefix, title in SECTIONS.items():
            names = [name for name in keys if BY_NAME[name].id.startswith(f"{prefix}.")]
            if not names:
                continue
            told += [[], pages.heading(title, width)] if told else [pages.heading(title, width)]
            for name in names:
                off = name in greyed
                text = BY_NAME[name].help + (" (not in read-only mode)" if off else "")
                first = [(f"   {fitted(' '.join(keys[name]), 16)} ", "dim" if off else "key")]
                told += pages.wrapped(first, text, width, "dim" if off else "")
        told += [[], pages.heading("Words", width)]
        for word, meaning in WORDS:
            told += pages.wrapped([(f"   {word:<16} ", "strong")], meaning, width)
        return told

    return page

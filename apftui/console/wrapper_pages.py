"""What the console says of wrappers, as lines of text."""

import difflib
from collections.abc import Mapping, Sequence

from apftui.console import format as words
from apftui.console import pages
from apftui.console.bench import Bench
from apftui.console.widgets.paint import Item, Line, Span, fitted
from core.api.wrappers import CheckResult, Fault, VersionStatus, WrapperStatus

_DIFF_INKS = {"+": "good", "-": "bad", "@": "calm"}


def wrappers(
    every: Sequence[WrapperStatus], drafts: set[str], width: int, now: float
) -> dict[str, Line]:
    """Return a line for each wrapper, by its name."""
    return {w.name: _wrapper(w, w.name in drafts, width, now) for w in every}


def wrappers_head(width: int) -> Line:
    """Return the titles above `wrappers`."""
    name = _name_width(width)
    text = f"  {'WRAPPER':<{name}} {'COUNTS':<8} {'QUEUES':>6} {'AGE':>4}    {'BY':<14} MESSAGE"
    return [(text, "title")]


def _wrapper(wrapper: WrapperStatus, draft: bool, width: int, now: float) -> Line:
    live = live_version(wrapper)
    message: Span = (live.message or wrapper.summary, "" if live.message else "soft")
    if wrapper.problem:
        message = (wrapper.problem, "bad")
    return [
        (f" {fitted(wrapper.name, _name_width(width))} ", "strong"),
        (f"{fitted(wrapper.version, 8)} ", "calm" if live.by else "soft"),
        (f"{len(wrapper.queues):>6} ", "" if wrapper.queues else "dim"),
        (f"{_age(live, now):>4} ", "soft"),
        ("✎  " if draft else "   ", "warn"),
        (f"{fitted(live.by or words.NONE, 14)} ", "soft"),
        message,
    ]


def _name_width(width: int) -> int:
    return 16 if width < 100 else 32


def versions(wrapper: WrapperStatus, now: float) -> dict[str, Line]:
    """Return a line for each version of a wrapper, by its name."""
    return {v.version: _version(v, v.version == wrapper.version, now) for v in wrapper.versions}


def _version(version: VersionStatus, counts: bool, now: float) -> Line:
    where = {"shipped": "comes with apftui", "folder": "of the folder [factory] wrappers"}
    text: Span = (version.message or where.get(version.version, ""), "")
    if version.problem:
        text = (version.problem, "bad")
    return [
        (f" {fitted(version.version, 8)} ", "strong"),
        ("counts  " if counts else "        ", "good"),
        (f"{_age(version, now):>4}  ", "soft"),
        (f"{fitted(version.by or words.NONE, 14)} ", "soft"),
        text,
    ]


def live_version(wrapper: WrapperStatus) -> VersionStatus:
    """Return the version that counts."""
    found = (v for v in wrapper.versions if v.version == wrapper.version)
    return next(found, VersionStatus(version=wrapper.version))


def _age(version: VersionStatus, now: float) -> str:
    return words.NONE if version.at is None else words.age(now - version.at)


def faults(found: Sequence[Fault], width: int) -> list[Line]:
    """Return what is wrong with a draft, each with its line."""
    lines: list[Line] = []
    for fault in found:
        file = "" if fault.file in ("wrapper.sh", "") else f"{fault.file}:"
        place = f"{file}{fault.line}" if fault.line else file or words.NONE
        first: list[Span] = [(" ✗ ", "bad"), (f"{place:<5} ", "strong")]
        others = len(fault.queues) - 1
        queue = f"{fault.queues[0]}: " if fault.queues else ""
        more = f" (and {words.count(others, 'more queue')})" if others > 0 else ""
        cure = f"; {fault.cure}" if fault.cure else ""
        lines += pages.wrapped(first, f"{queue}{fault.text}{more}{cure}", width)
    return lines


def script(text: str) -> list[Line]:
    """Return a script with the numbers of its lines."""
    told = text.expandtabs(4).split("\n")
    if told[-1] == "":
        told.pop()
    return [[(f"{n:>5} ", "dim"), (line, _ink(line))] for n, line in enumerate(told, 1)]


def _ink(line: str) -> str:
    return "soft" if line.lstrip().startswith("#") else ""


def differences(texts: Mapping[str, tuple[str, str]], width: int) -> list[Line]:
    """Return what differs in each pair of texts (before, after), under its title."""
    lines: list[Line] = []
    for title, (before, after) in texts.items():
        diff = list(_unified(before, after))
        plus = sum(line.startswith("+") for line in diff)
        minus = sum(line.startswith("-") for line in diff)
        note = f"+{plus} -{minus}" if diff else "the same"
        lines += [[]] if lines else []
        lines.append(pages.heading(title, width, note))
        lines += ([(f" {line}", _DIFF_INKS.get(line[:1], "soft"))] for line in diff)
    return lines


def _unified(before: str, after: str) -> Sequence[str]:
    a, b = (text.expandtabs(4).splitlines() for text in (before, after))
    return [*difflib.unified_diff(a, b, lineterm="")][2:]


def title(bench: Bench, draft: Line, now: float) -> tuple[list[Item], list[Item]]:
    """Return the first line above a wrapper's text: what counts, for whom, and the draft."""
    status = bench.status
    items = [Item(0, [(bench.name, "strong")])]
    if status is not None:
        live = live_version(status)
        by = f", {live.by} {_age(live, now)} ago" if live.by else ""
        items += [
            Item(2, [(f"{live.version} counts", "calm"), (by, "soft")]),
            Item(3, [(words.count(len(status.queues), "queue"), "soft")]),
        ]
    return items, [Item(1, draft)]


def tabs(tab: str, result: CheckResult | None, queue: str) -> tuple[list[Item], list[Item]]:
    """Return the second line: the tabs, and what the factory says of the draft."""
    line: list[Span] = []
    for name in ("edit", "preview", "diff", "versions"):
        here = name == tab
        line.append((f"‹{name}› " if here else f" {name}  ", "key" if here else "soft"))
    left = [Item(0, line)]
    if tab in ("preview", "diff"):
        left.append(Item(1, [(whose(queue), "")]))
    if result is None:
        return left, [Item(2, [("…", "dim")])]
    if result.faults:
        return left, [Item(2, [(f"✗ {words.count(len(result.faults), 'problem')}", "bad")])]
    n = len(result.queues)
    told = f"✓ bash -n, {words.count(n, 'queue')}" if n else "✓ bash -n"
    return left, [Item(2, [(told, "good")])]


def whose(queue: str) -> str:
    """Return in words whose script is shown."""
    return f"for {queue}" if queue else "with sample values"


def problem(text: str, width: int) -> list[Line]:
    """Return an error of the factory."""
    return [
        line for each in text.splitlines() for line in pages.wrapped([(" ✗ ", "bad")], each, width)
    ]


def reach(status: WrapperStatus, base: str) -> tuple[Line, ...]:
    """Return what will take the place of `base`, and for whom."""
    now = next((v for v in status.versions if v.version == base), None)
    of = f", which {now.by} published: {now.message}" if now is not None and now.by else "."
    n = len(status.queues)
    some = ", ".join(status.queues[:3]) + (f" and {n - 3} more" if n > 3 else "")
    use = f"{words.count(n, 'queue')} use{'s' if n == 1 else ''} it: {some}."
    return (
        [(f"It takes the place of {base}{of}", "soft")],
        [(use if n else "No queue uses it.", "soft")],
    )

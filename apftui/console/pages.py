"""What the console says at length, as lines of text: a queue, a decision, the factory."""

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from apftui.console import format as words
from apftui.console.widgets.paint import Line, Span, fitted
from core.api.models import (
    Action,
    BatchView,
    FactoryStatus,
    PastDecision,
    QueueDetail,
    QueueStatus,
    WmsView,
)
from core.model.decision import Decision
from core.model.submission import Intent, IntentState
from core.model.text import clean
from core.settings.schema import EffectiveValue

LONGEST_RULE = 100
"""Cells: a longer one leads the eye nowhere."""
_INTENT_INK = {
    IntentState.INTENT: "warn",
    IntentState.CONFIRMED: "good",
    IntentState.ABSENT: "dim",
    IntentState.CONFLICT: "bad",
}
_ACTION_INK = {"asked": "warn", "applied": "good", "failed": "bad"}


def heading(title: str, width: int, note: str = "") -> Line:
    """Return a section's title, and a thin line to its right."""
    width = min(width, LONGEST_RULE)
    title = clean(title)[: max(0, width - 4)]
    note = clean(f"  {note}" if note else "")[: max(0, width - 5 - len(title))]
    line: list[Span] = [(f" {title}", "strong"), (f"{note} ", "soft")]
    return [*line, ("─" * max(0, width - 3 - len(title) - len(note)), "dim")]


def wrapped(first: Sequence[Span], text: str, width: int, ink: str = "") -> list[Line]:
    """Return `text` after `first`, broken so that it stays right of `first`."""
    indent = sum(len(part) for part, _ in first)
    room = width - indent - 1
    if room < 20:  # no column to speak of: start below
        indent, room = 4, max(8, width - 5)
        parts = textwrap.wrap(clean(text), room) or [""]
        return [[*first], *([(" " * indent, ""), (part, ink)] for part in parts)]
    parts = textwrap.wrap(clean(text), room) or [""]
    below = [[(" " * indent, ""), (part, ink)] for part in parts[1:]]
    return [[*first, (parts[0], ink)], *below]


def steps(decision: Decision, width: int) -> list[Line]:
    """Return the decision step by step; the one that bound it is marked."""
    if decision.blind:
        because = decision.blind_because or "a needed number is unknown"
        return wrapped([("   blind  ", "warn")], f"{because}: nothing submitted", width)
    name = max((len(step.plugin) for step in decision.steps), default=8)
    name = max(8, min(name, width // 4))
    bound = max(
        (i for i, step in enumerate(decision.steps) if step.plugin == decision.bound_by),
        default=None,
    )
    lines: list[Line] = []
    for i, step in enumerate(decision.steps):
        binding = i == bound
        first: list[Span] = [
            (f"   {fitted(step.plugin, name)}", "strong" if binding else ""),
            (f" {words.number(step.in_):>5} → ", "dim"),
            (f"{words.number(step.out):>5}", "strong" if step.out != step.in_ else "soft"),
            (" ◀ " if binding else "   ", "warn"),
        ]
        lines += wrapped(first, step.reason, width, "" if binding else "soft")
    lines.append(
        [
            (f"   {fitted('= submit', name)}", "strong"),
            (" " * 9, ""),
            (f"{words.number(decision.submit):>5}", "good" if decision.submit else "strong"),
        ]
    )
    return lines


def why(queue: QueueStatus, width: int) -> list[Line]:
    """Return state and last decision of a queue."""
    word = words.STATES[queue.state]
    lines = wrapped([(f"   {word.glyph} {word.word}  ", word.style)], _news(queue), width)
    return lines + (steps(queue.decision, width) if queue.decision else [])


def _news(queue: QueueStatus) -> str:
    """Return the reason of the state, unless the decision says just that."""
    decision = queue.decision
    said = {decision.blind_because, *(s.reason for s in decision.steps)} if decision else set()
    return "" if queue.reason in said else queue.reason


def queue(detail: QueueDetail, width: int, elapsed: float) -> list[Line]:
    """Return all about one queue; `elapsed` is the seconds since `detail` was told."""
    status = detail.status
    lines: list[Line] = []
    if news := _news(status):
        word = words.STATES[status.state]
        lines += [*wrapped([(f" {word.glyph} ", word.style)], news, width), []]
    if status.decision is None:
        lines += [heading("Decision", width), [("   not decided yet", "soft")]]
    else:
        passed = None if status.decided_age_s is None else status.decided_age_s + elapsed
        note = f"pass {status.cycle if status.cycle is not None else words.UNKNOWN}"
        note += f", {words.age(passed)} ago, {status.submitted} submitted"
        lines += [heading("Decision", width, note), *steps(status.decision, width)]
    lines += [[], heading("Numbers", width)]
    lines += _numbers(status, width, elapsed)
    if status.wrapper_version:
        first: list[Span] = [("   wrapper  ", "soft"), (words.wrapper(status), "strong")]
        lines += wrapped([*first, ("  ", "")], status.wrapper_sha, width, "dim")
    lines += _section("Recent decisions", width, (_past(p, width) for p in detail.decisions))
    lines += _section("Submissions", width, (_intent(i, width) for i in detail.intents))
    lines += _section("Actions", width, (_action(a, width) for a in detail.actions))
    lines += _section("Settings", width, _settings(detail.settings, width))
    return lines


def _section(title: str, width: int, parts: Iterable[list[Line]]) -> list[Line]:
    lines = [line for part in parts for line in part]
    return [[], heading(title, width), *(lines or [[("   none", "dim")]])]


def _numbers(status: QueueStatus, width: int, elapsed: float) -> list[Line]:
    wms, batch = status.wms, status.batch
    payloads = [("activated", wms.activated), ("running", wms.running)]
    pilots = [
        ("pending", batch.pending),
        ("running", batch.running),
        ("held", batch.held),
        ("leaving", batch.leaving),
        ("in flight", batch.in_flight),
    ]
    lines: list[Line] = []
    if status.wms_name is not None:
        lines += _counts(
            payloads,
            what="payloads",
            status=[(f"status {wms.status or words.UNKNOWN}", "" if wms.status else "warn")],
            source=status.wms_name,
            view=wms,
            width=width,
            elapsed=elapsed,
        )
        if wms.other:
            told = ", ".join(f"{state} {words.number(n)}" for state, n in wms.other.items())
            lines += wrapped([(" " * 12, ""), ("other: ", "soft")], told, width, "dim")
        if wms.note and wms.note != status.reason:
            lines += wrapped([(" " * 12, "")], wms.note, width, "warn")
    lines += _counts(
        pilots,
        what="pilots",
        status=[],
        source=status.batch_name,
        view=batch,
        width=width,
        elapsed=elapsed,
    )
    return [*lines, _ended(status)]


def _ended(status: QueueStatus) -> Line:
    """Return how pilots ended."""
    failed = "warn" if status.failed else "dim"
    return [
        ("   last hour", "soft"),
        (" done ", "soft"),
        (words.number(status.done), "strong" if status.done else "dim"),
        ("  failed ", "soft"),
        (words.number(status.failed), failed),
    ]


def _counts(
    counts: list[tuple[str, int | None]],
    *,
    what: str,
    status: list[Span],
    source: str,
    view: WmsView | BatchView,
    width: int,
    elapsed: float,
) -> list[Line]:
    passed = None if view.age_s is None else view.age_s + elapsed
    spans: list[Span] = [(f"   {what:<9}", "soft")]
    for label, value in counts:
        ink = "warn" if value is None else "dim" if value == 0 else "strong"
        spans += [(f"{label} ", "soft"), (words.number(value), ink), ("  ", "")]
    spans += [*status, ("  ", "")] if status else []
    told = f"{source}, {words.age(passed)} ago" if passed is not None else f"{source}, no answer"
    lines: list[Line] = []
    if sum(len(text) for text, _ in spans) + len(told) < width:
        lines.append([*spans, (told, "dim")])
    else:
        lines += [spans, [(" " * 12, ""), (told, "dim")]]
    if view.problem:
        lines += wrapped([(" " * 12, "")], view.problem, width, "warn")
    return lines


def _past(past: PastDecision, width: int) -> list[Line]:
    decision = past.decision
    passes = str(past.cycle) if past.cycle == past.last_cycle else f"{past.cycle}–{past.last_cycle}"
    result = words.last(decision)
    ink = "warn" if decision.blind else "good" if decision.submit else "dim"
    first: list[Span] = [
        (f"   {words.moment(past.last_at)} ", "dim"),
        (f"{passes:>13} ", "soft"),
        (f"{result:>6}  ", ink),
    ]
    if decision.blind:
        return wrapped(first, decision.blind_because or "", width, "soft")
    numbers = (
        f"act {words.number(past.wms.activated)} pend {words.number(past.batch.pending)}"
        f" run {words.number(past.batch.running)} held {words.number(past.batch.held)}"
    )
    bound = f"bound by {decision.bound_by}" if decision.bound_by else "not bound"
    short = f", {past.submitted} submitted" if past.submitted != decision.submit else ""
    return wrapped(first, f"{numbers}, {bound}{short}", width, "soft")


def _intent(intent: Intent, width: int) -> list[Line]:
    submission = intent.submission if width >= 120 else intent.submission[:8]
    first: list[Span] = [
        (f"   {words.moment(intent.at)} ", "dim"),
        (f"{intent.n:>5} ", "strong"),
        (f"{intent.state.value:<9} ", _INTENT_INK[intent.state]),
    ]
    where = f"{intent.schedd} cluster {intent.cluster or words.NONE}"
    if intent.cluster != intent.submission:
        where += f"  {submission}"
    return wrapped(first, f"{where}  {intent.detail}".rstrip(), width, "soft")


def _action(action: Action, width: int) -> list[Line]:
    first: list[Span] = [
        (f"   {words.moment(action.at)} ", "dim"),
        (f"{action.state:<7} ", _ACTION_INK[action.state]),
    ]
    text = f"{action.by}: {action.what}"
    if action.why:
        text += f" ({action.why})"
    if action.until is not None:
        text += f", until {words.moment(action.until)}"
    if action.detail:
        text += f"; {action.detail}"
    return wrapped(first, text, width)


def _settings(values: Sequence[EffectiveValue], width: int) -> Iterable[list[Line]]:
    key = min(max((len(v.key) for v in values), default=0), width * 2 // 5)
    layer = min(max((len(v.layer) for v in values), default=0), 12)
    value = min(max((len(setting(v.value)) for v in values), default=0), 48)
    for each in values:
        overridden = each.layer == "override"
        first: list[Span] = [
            (f"   {fitted(each.key, key)} ", "" if overridden else "soft"),
            (f"{fitted(each.layer, layer)} ", "warn" if overridden else "dim"),
        ]
        ink = "strong" if overridden else ""
        told = setting(each.value)
        if each.where and width >= 120 and len(told) <= value:
            yield [[*first, (fitted(told, value), ink), (f"   {each.where}", "dim")]]
        else:
            yield wrapped(first, told, width, ink)


def setting(value: Any) -> str:
    """Return a value as the settings file would have it, near enough to read."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def factory(status: FactoryStatus, alarms: Sequence[str], width: int, elapsed: float) -> list[Line]:
    """Return alarms, sources and the factory itself."""
    lines: list[Line] = [heading("Alarms", width)]
    for alarm in alarms:
        lines += wrapped([(" ! ", "bad")], alarm, width)
    if not alarms:
        lines.append([("   none", "dim")])
    inks = {"fresh": "good", "stale": "warn", "failed": "bad", "waiting": "dim"}
    lines += [[], heading("Sources", width)]
    for source in status.sources:
        passed = None if source.age_s is None else source.age_s + elapsed
        took = "" if source.took_s is None else f", took {source.took_s:.1f}s"
        first: list[Span] = [
            (f"   {source.kind:<9}{fitted(source.name, 14)} ", ""),
            (f"{source.state:<8}", inks[source.state]),
        ]
        told = f"{source.plugin}, {words.age(passed)} ago{took}"
        lines += wrapped(
            first, f"{told}; {source.problem}" if source.problem else told, width, "soft"
        )
    if not status.sources:
        lines.append([("   none", "dim")])
    lines += [[], heading("Factory", width)]
    facts = {
        "name": status.name,
        "version": status.version,
        "pid": str(status.pid),
        "started by": status.started_by,
        "settings": status.config,
        "state": status.state_folder,
        "pass": f"{status.cycle}, every {status.cycle_s:g}s",
        "boot": status.boot,
    }
    for label, text in facts.items():
        lines += wrapped([(f"   {label:<12}", "soft")], text, width)
    return lines

"""Factories as the screens are tested with: a small one with every state, and a big one."""

import random
from typing import Any

from core.api.models import (
    Action,
    BatchView,
    FactoryStatus,
    Override,
    Parameter,
    PastDecision,
    QueueDetail,
    QueueParameters,
    QueueState,
    QueueStatus,
    SourceStatus,
    WmsView,
)
from core.api.wrappers import VersionStatus, WrapperStatus
from core.model.decision import Decision, TraceStep
from core.model.submission import Intent, IntentState
from core.settings.schema import EffectiveValue

NOON = 1_795_348_800.0
"""A fixed wall clock: 2026-11-22 12:00:00Z."""


def factory(name: str = "cern-01", boot: str = "boot-1", **more: object) -> FactoryStatus:
    told: dict[str, object] = {
        "name": name,
        "version": "0.1.0",
        "boot": boot,
        "pid": 4711,
        "started_by": "console",
        "config": "/etc/apftui/factory.toml",
        "state_folder": "/var/lib/apftui",
        "cycle_s": 60.0,
        "cycle": 8812,
        "next_pass_s": 48.0,
        "last_pass_age_s": 12.0,
        "sources": (
            SourceStatus(
                kind="wms", name="panda", plugin="panda", state="fresh", age_s=21.0, took_s=0.8
            ),
            SourceStatus(
                kind="batch", name="main", plugin="htcondor", state="fresh", age_s=4.0, took_s=0.2
            ),
            SourceStatus(
                kind="outcomes",
                name="main",
                plugin="htcondor",
                state="fresh",
                age_s=31.0,
                took_s=0.9,
                problem="the history of bosco1.cern.ch begins at 11:41:02Z:"
                " what ended before is not counted",
            ),
        ),
    }
    return FactoryStatus.model_validate(told | more)


def decision(queue: str, activated: int, pending: int, cap: int = 50, room: int = 100) -> Decision:
    """What ready → max-per-cycle → max-pending says."""
    n = max(0, activated - pending)
    steps = [
        TraceStep(
            plugin="ready", in_=0, out=n, reason=f"{activated} activated - {pending} pending"
        ),
        TraceStep(
            plugin="max-per-cycle",
            in_=n,
            out=min(n, cap),
            reason=f"at most {cap} in one pass",
        ),
    ]
    left = max(0, room - pending)
    out = min(n, cap, left)
    steps.append(
        TraceStep(
            plugin="max-pending",
            in_=min(n, cap),
            out=out,
            reason=f"at most {room} pending, {pending} are: room for {left}",
        )
    )
    bound = "max-pending" if out < min(n, cap) else "max-per-cycle" if out < n else None
    return Decision(queue=queue, submit=out, bound_by=bound, steps=tuple(steps))


def queue(
    name: str,
    activated: int | None = 0,
    pending: int | None = 0,
    running: int | None = 0,
    *,
    held: int | None = 0,
    state: QueueState = "ok",
    reason: str = "",
    **more: object,
) -> QueueStatus:
    unknown = activated is None or pending is None
    made = (
        Decision(queue=name, blind=True, blind_because=reason or "pilots are unknown: no answer")
        if unknown
        else decision(name, activated or 0, pending or 0)
    )
    told: dict[str, object] = {
        "name": name,
        "state": state,
        "reason": reason,
        "activated": activated,
        "pending": pending,
        "running": running,
        "held": held,
        "done": None if running is None else running // 3,
        "failed": None if running is None else held,
        "wms": WmsView(
            activated=activated,
            running=running,
            status=None if activated is None else "online",
            age_s=21.0,
        ),
        "batch": BatchView(
            pending=pending,
            running=running,
            held=held,
            leaving=None if pending is None else 0,
            age_s=4.0,
        ),
        "decision": made,
        "decided_age_s": 12.0,
        "cycle": 8812,
        "submitted": made.submit,
        "wms_name": "panda",
        "batch_name": "main",
        "schedd": "bosco1.cern.ch",
        "wrapper": "generic",
        "wrapper_version": "3",
        "wrapper_sha": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "revision": "r1",
    }
    return QueueStatus.model_validate(told | more)


def small() -> list[QueueStatus]:
    """One queue for each state."""
    return [
        queue("CERN-PROD_MCORE", 1220, 93, 9812, failed=41),
        queue("CERN-PROD_SCORE", 640, 596, 22104, held=3),
        queue("BNL_PROD-gridgk01", 4, 4, 310),
        queue(
            "CERN-P1_MCORE", 310, None, None, held=None, state="blind",
            reason="pilots are unknown: schedd bosco3.cern.ch: no answer within 20 s",
        ),
        queue(
            "CERN-T0_MCORE", 812, 0, 312, state="paused", reason="paused by rs: SE downtime",
            submitted=0,
            decision=Decision(
                queue="CERN-T0_MCORE", submit=0, bound_by="paused",
                steps=(
                    TraceStep(plugin="ready", in_=0, out=812, reason="812 activated - 0 pending"),
                    TraceStep(plugin="paused", in_=812, out=0, reason="paused by rs: SE downtime"),
                ),
            ),
        ),
        queue("CERN-EXT_GPU", 0, 0, 0, state="offline",
              reason="panda says offline: nothing is submitted"),
        queue("RAL-LCG2_DRAIN", 0, 2, 41, state="draining",
              reason="43 pilots are left; drain set by rs: site closes"),
        queue("RAL-LCG2_OLD", 0, 0, 0, state="drained",
              reason="no pilots are left; drain set by rs: site closed"),
        queue("TRIUMF_TEST", 3, 1, 2, state="error", reason="step scale raised ValueError: factor",
              done=0, failed=2),
        queue("TRIUMF_NEW", None, state="blind", reason="the WMS does not know TRIUMF_NEW",
              decision=None, decided_age_s=None, cycle=None),
    ]  # fmt: skip


def thousand(n: int = 1000, seed: int = 1) -> list[QueueStatus]:
    rng = random.Random(seed)
    sites = ["CERN-PROD", "BNL-ATLAS", "RAL-LCG2", "TRIUMF-LCG2", "IN2P3-CC", "FZK-LCG2", "NDGF-T1"]
    kinds = ["MCORE", "SCORE", "HIMEM", "GPU", "TEST"]
    made = []
    for i in range(n):
        name = f"{rng.choice(sites)}_{rng.choice(kinds)}-{i:04d}"
        activated, pending = rng.randrange(0, 3000), rng.randrange(0, 120)
        if rng.random() < 0.03:
            made.append(
                queue(
                    name,
                    activated,
                    None,
                    None,
                    held=None,
                    state="blind",
                    reason="pilots are unknown: no answer",
                )
            )
        else:
            made.append(
                queue(
                    name, activated, pending, rng.randrange(0, 20_000),
                    held=rng.choice((0, 0, 0, 0, 7)), decided_age_s=rng.randrange(0, 60),
                )
            )  # fmt: skip
    return made


FORMS: tuple[dict[str, Any], ...] = (
    {"type": "boolean", "description": "Submit nothing; pilots are left alone."},
    {"type": "array", "description": "Steps that make the number of pilots, in their order."},
    {
        "type": "integer", "minimum": 0, "unit": "pilots",
        "description": "Most pilots submitted in one pass.",
    },
    {
        "type": "integer", "minimum": 0, "maximum": 5000, "unit": "pilots",
        "description": "Most pilots pending or held at a time.",
    },
    {"type": "string", "enum": ["panda", "jobs"], "description": "WMS that counts the payloads."},
    {"type": "string", "description": "Only payloads of this resource type, such as MCORE."},
    {
        "type": "integer", "unit": "seconds",
        "description": "Seconds from the signal that ends the pilot until its payload is killed.",
    },
)  # fmt: skip


def parameters(name: str, maximum: int = 100, **override: object) -> QueueParameters:
    """What can be set; `override` is who set max-pending."""
    told = (
        ("paused", False, "built-in", 0),
        ("chain", ["ready", "max-per-cycle", "max-pending"], "defaults", 1),
        ("sched.max-per-cycle.maximum", 50, "defaults", 2),
        ("sched.max-pending.maximum", maximum, "override" if override else "queue", 3),
        ("wms", "panda", "defaults", 4),
        ("resource_type", None, "built-in", 5),
        ("wrapper_parameters.grace", 20, "built-in", 6),
    )
    values = [
        Parameter(
            key=key, value=value, layer=layer, default=value, default_layer=layer, form=form
        )
        for key, value, layer, form in told
    ]  # fmt: skip
    if override:
        key = "sched.max-pending.maximum"
        made = {"queue": name, "key": key, "value": maximum, "by": "rs", "at": NOON - 3600.0}
        values[3] = values[3].model_copy(
            update={
                "default": 100,
                "default_layer": "queue",
                "override": Override.model_validate(made | {"action": "a1"} | override),
            }
        )
    return QueueParameters(name=name, revision="r1", values=tuple(values))


def detail(status: QueueStatus, **more: object) -> QueueDetail:
    """A queue that has seen something."""
    values = (
        ("paused", False, "built-in", ""),
        ("wms", "panda", "defaults", "factory.toml"),
        ("wms_queue", status.name, "queue", "queues.d/cern.toml"),
        ("batch", "main", "defaults", "factory.toml"),
        ("wrapper", "generic", "defaults", "factory.toml"),
        ("chain", ["ready", "max-per-cycle", "max-pending"], "defaults", "factory.toml"),
        ("sched.max-per-cycle.maximum", 50, "defaults", "factory.toml"),
        ("sched.max-pending.maximum", 100, "override", "overrides.toml"),
    )
    intents = (
        ("6f6c2f0e-8a1c-4b9e-9d52-0c1d2e3f4a5b", 7, IntentState.CONFIRMED, "88123", ""),
        ("0b7e1d52-1111-4b9e-9d52-0c1d2e3f4a5b", 50, IntentState.INTENT, None, "no answer in 60 s"),
    )
    past = status.decision or Decision(queue=status.name, blind=True, blind_because="no answer")
    told: dict[str, object] = {
        "status": status,
        "settings": tuple(
            EffectiveValue(key=key, value=value, layer=layer, where=where)
            for key, value, layer, where in values
        ),
        "decisions": (
            PastDecision(
                cycle=8810, last_cycle=8812, at=NOON - 132, last_at=NOON - 12,
                wms=status.wms, batch=status.batch, decision=past, submitted=status.submitted,
            ),
            PastDecision(
                cycle=8809, last_cycle=8809, at=NOON - 192, last_at=NOON - 192,
                wms=status.wms, batch=BatchView(),
                decision=Decision(
                    queue=status.name, blind=True, blind_because="pilots are unknown: no answer"
                ),
            ),
        ),
        "intents": tuple(
            Intent(
                submission=submission, queue=status.name, batch="main", submit_plugin="htcondor",
                schedd="bosco1.cern.ch", n=n, epoch=3, cycle=8812, wrapper="generic",
                description="…", state=state, at=NOON - 12, boottime=1.0, boot_id="b",
                cluster=cluster, detail=detail,
            )
            for submission, n, state, cluster, detail in intents
        ),
        "actions": (
            Action(
                id="a1b2c3d4e5", at=NOON - 3600, by="rs (uid 1000)",
                what="sched.max-pending.maximum = 100", why="agreed with the site",
                state="applied",
            ),
        ),
    }  # fmt: skip
    return QueueDetail.model_validate(told | more)


TEMPLATE = """#!/bin/bash
# A pilot of the factory apftui, wrapper "generic".
command=(@{ command }@)

set -u
#% include "steps/report_node.sh"

report_node
"${command[@]}"
"""


def wrappers() -> tuple[WrapperStatus, ...]:
    """One that was published thrice, one that comes with apftui and that no queue uses."""
    messages = ("frontier is gone", "cvmfs looked for first", "back: 2 breaks at TRIUMF")
    versions = [
        VersionStatus(version=str(n), by="rs", at=NOON - (4 - n) * 86_400, message=message)
        for n, message in enumerate(messages, 1)
    ]
    return (
        WrapperStatus(
            name="directory",
            summary="Claims payload jobs from the folders of a `directory` WMS and runs them.",
            version="shipped",
            sha256="ab",
            versions=(VersionStatus(version="shipped"),),
        ),
        WrapperStatus(
            name="generic",
            summary="Reports the node, runs one command and ends with its exit code.",
            version="3",
            sha256="cd",
            queues=("BNL_PROD-gridgk01", "CERN-PROD_MCORE", "CERN-PROD_SCORE"),
            versions=(*reversed(versions), VersionStatus(version="shipped")),
        ),
    )

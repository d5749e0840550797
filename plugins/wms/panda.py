"""panda: payload jobs that a PanDA server waits to hand out.

Two GETs without credentials for all queues: the jobs by queue, resource type, label and state, and
the queues' own status. The server counts once a minute or so: `lag`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import BeforeValidator, Field, PositiveFloat, field_validator

from core.model.answers import WmsAnswer, WmsCount, WmsQuery
from core.model.plugin import Params, Wms
from core.model.text import clean
from core.settings.duration import seconds
from core.settings.suggest import did_you_mean
from plugins.panda import jobs
from plugins.panda.server import Server

JOBS = "statistics/active_job_detailed_stats_by_site"
QUEUES = "metaconfig/get_site_specs?type=all"

_SUGGESTIONS = 20
"""Names that are looked for among thousands: with a wrong `url` every queue has a wrong one."""


class PandaParams(Params):
    url: str = Field(
        description="The server, as https://HOST:25443 or http://HOST:25080; no credentials."
    )
    ca: Path | None = Field(
        default=None,
        description="Certificates to trust: a file, or a folder with hashed names such as"
        " /etc/grid-security/certificates. By default those of Python's certifi.",
    )
    timeout: Annotated[PositiveFloat, BeforeValidator(seconds)] = Field(
        default=15.0,
        description="How long the server may be silent. Keep it below `deadline`: a poll that is"
        " ended by that cannot say which request was slow.",
        json_schema_extra={"unit": "seconds"},
    )
    test_labels: tuple[str, ...] = Field(
        default=(*jobs.TEST_LABELS, "rc_test", "rc_test2", "rc_alrb", "ptest"),
        description="A queue's own labels that count, alone, while its status is test."
        " A queue with none of them counts test, prod_test and install then.",
    )

    @field_validator("url")
    @classmethod
    def _only_a_server(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable():
            raise ValueError("it is no address: write https://HOST:25443")
        if parts.port == 0 or " " in url:
            raise ValueError("it is no address: write https://HOST:25443")
        if "@" in parts.netloc:
            raise ValueError("it has a name or password in it: none are needed, take them out")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("it goes on after the host and port: leave that out")
        return urlunsplit((parts.scheme, parts.netloc, "", "", ""))


class PandaWms(Wms[PandaParams]):
    """Counts what pilots would be given, as PanDA's summary tables have it."""

    params = PandaParams
    lag = 60.0

    def poll(self, wanted: Sequence[WmsQuery]) -> WmsAnswer:
        with Server(self.settings.url, self.settings.ca, self.settings.timeout) as server:
            # In this order, because without its database only the first says what is the matter.
            statistics = server.table(JOBS)
            status = {name: _status(spec) for name, spec in server.table(QUEUES).items()}
        nearest = _nearest(status)
        return WmsAnswer(
            counts=tuple(
                _count(query, statistics, status, self.settings.test_labels, nearest)
                for query in wanted
            )
        )


def _status(spec: object) -> str | None:
    status = spec.get("status") if isinstance(spec, dict) else None
    return clean(status, 40) if isinstance(status, str) and status else None


def _count(
    query: WmsQuery,
    statistics: Mapping[str, Any],
    statuses: Mapping[str, str | None],
    known_tests: Collection[str],
    nearest: Callable[[str], str],
) -> WmsCount:
    known = query.queue in statuses
    if query.queue not in statistics:
        name = clean(query.queue, 100)
        if not known:
            return WmsCount(query=query, problem=f"PanDA knows no queue {name}; {nearest(name)}")
        if (whole := _part_of(query.queue, statuses)) is not None:
            return WmsCount(query=query, problem=whole)
    status = statuses.get(query.queue)
    problem = None
    if status is None:
        told = "without a status" if known else "missing"
        problem = f"its status is unknown: it is {told} in get_site_specs"
    in_test = jobs.counting_in_test(query.labels, known_tests) if status == "test" else ()
    labels = {*query.labels, *in_test} if query.labels else ()
    try:
        found = jobs.by_label(statistics.get(query.queue, {}), query.resource_type, labels)
    except jobs.Odd as odd:
        return WmsCount(query=query, status=status, problem=f"cannot read PanDA's count: {odd}")
    told_jobs = jobs.total(found)
    activated, note = told_jobs.activated, None
    if in_test:
        activated = jobs.activated(found, in_test)
        note = _left_out(told_jobs.activated - activated, in_test)
    return WmsCount(
        query=query,
        activated=activated,
        running=told_jobs.running,
        other=told_jobs.other,
        status=status,
        problem=problem,
        note=note,
    )


def _left_out(n: int, counted: Sequence[str]) -> str | None:
    if not n:
        return None
    return (
        f"{n} activated not counted: while its status is test, PanDA gives pilots of this queue"
        f" only jobs labelled {clean(', '.join(counted), 200)}"
    )


def _part_of(name: str, statuses: Collection[str]) -> str | None:
    """Return the cure for QUEUE/MCORE, a name that PanDA has in its specs but for no job."""
    queue, _, kind = name.rpartition("/")
    if queue not in statuses:
        return None
    return (
        f"{clean(name, 100)} has no jobs of its own: set wms_queue to {clean(queue, 100)}"
        f" and resource_type to {clean(kind, 40)}"
    )


def _nearest(statuses: Collection[str]) -> Callable[[str], str]:
    names = [name for name in statuses if _part_of(name, statuses) is None]
    left = _SUGGESTIONS

    def nearest(name: str) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            return "compare url and wms_queue"
        return clean(did_you_mean(name, names, "it has"), 200)

    return nearest

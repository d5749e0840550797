"""Every route: what it gives, and that nonsense is refused with a problem while it lives on."""

import json
import socket
import time
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from core.api.models import Hello, Problem, QueueDetail
from core.api.server import ROUTES
from tests.running import Running


def problem(code: int, answer: Any) -> str:
    assert 400 <= code < 500, (code, answer)
    return Problem.model_validate(answer).error


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "said"),
    [
        ("POST", "/v1/changes", b"{", 400, "JSON"),
        ("POST", "/v1/changes", b"", 400, "changes: Field required"),
        ("POST", "/v1/changes", b"\xff\xfe", 400, "JSON"),
        ("POST", "/v1/changes", b"[1, 2]", 400, "object"),
        ("POST", "/v1/changes", {"changes": []}, 400, "changes"),
        ("POST", "/v1/changes", {"changes": [], "by": "root"}, 400, "changes"),
        (
            "POST",
            "/v1/changes",
            {"changes": [{"queue": "Q", "key": "paused", "value": True}], "by": "ann"},
            400,
            "by: Extra inputs",
        ),
        (
            "POST",
            "/v1/changes",
            {"changes": [{"queue": "nowhere", "key": "paused", "value": True}]},
            404,
            "no queue nowhere",
        ),
        (
            "POST",
            "/v1/changes",
            {"changes": [{"queue": "Q", "key": "no-such-key", "value": 1}]},
            400,
            "no-such-key",
        ),
        (
            "POST",
            "/v1/changes",
            {"changes": [{"queue": "Q", "key": "sched.max-pending.maximum", "value": -3}]},
            400,
            "maximum",
        ),
        (
            "POST",
            "/v1/changes",
            {"changes": [{"queue": "Q", "key": "paused", "value": True}], "until": 1.0},
            400,
            "later time",
        ),
        (
            "POST",
            "/v1/changes",
            {"changes": [{"queue": "Q", "key": "paused"}]},
            404,
            "no override",
        ),
        (
            "POST",
            "/v1/changes",
            b'{"changes": [{"queue": "Q", "key": "paused", "value": true}], "until": NaN}',
            400,
            "until: Input should be a finite number",
        ),
        ("POST", "/v1/undo", {"action": "none-such"}, 404, "no action none-such"),
        (
            "POST",
            "/v1/resolve",
            {"submission": "x", "state": "absent", "why": "gone"},
            404,
            "no unresolved intent",
        ),
        ("POST", "/v1/resolve", {"submission": "x", "state": "intent", "why": "y"}, 400, "state"),
        ("POST", "/v1/stop", {"remove": True}, 400, "remove: Extra inputs"),
        ("GET", "/v1/queue", None, 400, "name: Field required"),
        ("GET", "/v1/queue?name=nowhere", None, 404, "no queue nowhere"),
        ("GET", "/v1/queue?name=%1B%5B31m%5B%2Fx%5D", None, 404, "no queue"),
        ("GET", "/v1/snapshot?after=x", None, 400, "after"),
        ("GET", "/v1/snapshot?wait=1e9", None, 400, "wait"),
        ("GET", "/v1/snapshot?wait=nan", None, 400, "wait"),
        ("GET", "/v1/snapshot?limit=0", None, 400, "limit"),
        ("GET", "/v1/snapshot?unknown=1", None, 400, "unknown: Extra inputs"),
        ("GET", "/v1/nothing", None, 404, "/v1/nothing"),
        ("GET", "/", None, 404, "openapi"),
        ("DELETE", "/v1/hello", None, 405, "DELETE"),
        ("GET", "/v1/stop", None, 405, "GET"),
        ("POST", "/v1/changes", b"[" * 100_000, 400, ""),
        ("POST", "/v1/changes", b" " * 5_000_000, 413, ""),
    ],
)
def test_nonsense_is_refused_with_a_problem(
    factory: Running, method: str, path: str, body: object, code: int, said: str
) -> None:
    got, answer = factory.call(method, path, body)
    text = problem(got, answer)
    assert got == code
    assert said in text
    assert "\x1b" not in text
    assert factory.get("/v1/hello", Hello).pid == factory.pid


def test_a_broken_request_does_not_end_it(factory: Running) -> None:
    for sent in (b"", b"\0" * 1000, b"GET / HTTP/9\r\n\r\n", b"POST /v1/changes HTTP/1.1\r\n"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(factory.socket))
            connection.sendall(sent)
    assert factory.get("/v1/hello", Hello).pid == factory.pid


def test_hello_says_who_answers(factory: Running) -> None:
    hello = factory.get("/v1/hello", Hello)
    assert hello.protocol == 1
    assert (hello.name, hello.pid, hello.started_by) == ("test-01", factory.pid, "console")
    assert hello.config == str(factory.site.config)


def test_status_has_every_queue_with_its_numbers(factory: Running) -> None:
    status = factory.status()
    assert [q.name for q in status.queues] == ["Q", "R", "S"]
    sleeping = status.queues[2]
    assert (sleeping.pending, sleeping.running, sleeping.held) == (0, 2, 0)
    assert (sleeping.activated, status.queues[0].activated) == (0, 0)
    assert sleeping.state == "ok"
    assert status.factory.alarms == ()
    assert {(s.kind, s.name, s.state) for s in status.factory.sources} == {
        ("wms", "jobs", "fresh"),
        ("batch", "here", "fresh"),
        ("outcomes", "here", "fresh"),
    }
    assert (sleeping.done, sleeping.failed) == (0, 0)


def test_a_queue_is_told_whole(factory: Running) -> None:
    detail = factory.get("/v1/queue", QueueDetail, name="S")
    assert [(i.n, i.state) for i in detail.intents] == [(2, "confirmed")]
    sent = next(d for d in detail.decisions if d.submissions)
    assert sent.submissions == (detail.intents[0].submission,)
    assert (sent.decision.submit, sent.submitted) == (2, 2)
    layers = {v.key: v.layer for v in detail.settings}
    assert layers["sched.max-to-run.maximum"] == "queue"
    assert layers["batch"] == "defaults"


def test_lists_are_newest_first_and_limited(factory: Running) -> None:
    assert len(factory.intents()) == 1
    assert factory.call("GET", "/v1/intents?unresolved=true") == (200, [])
    code, answer = factory.call("GET", "/v1/intents?limit=0")
    assert problem(code, answer)


class Schema(BaseModel):
    """Any JSON schema; a `$ref` must lead to one of the document's."""

    model_config = ConfigDict(extra="allow")


class Content(BaseModel):
    model_config = ConfigDict(extra="forbid")
    json_: dict[Literal["schema"], Schema] = Field(alias="application/json")


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid")
    description: str
    content: Content


class Parameter(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    in_: Literal["query"] = Field(alias="in")
    schema_: Schema = Field(alias="schema")
    required: bool = False


class RequestBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    content: Content
    required: bool = False


class Operation(BaseModel):
    model_config = ConfigDict(extra="forbid")
    summary: str = Field(min_length=5)
    parameters: list[Parameter]
    requestBody: RequestBody | None = None  # noqa: N815 (OpenAPI's own name)
    responses: dict[Literal["200", "default"], Said]


class Info(BaseModel):
    title: str
    version: str


class OpenApi(BaseModel):
    """As much of OpenAPI 3.1 as the document uses."""

    model_config = ConfigDict(extra="forbid")
    openapi: Literal["3.1.0"]
    info: Info
    paths: dict[str, dict[Literal["get", "post"], Operation]]
    components: dict[Literal["schemas"], dict[str, Schema]]


def test_the_openapi_document_lists_every_route_and_all_that_it_refers_to(factory: Running) -> None:
    code, raw = factory.call("GET", "/v1/openapi.json")
    assert code == 200
    document = OpenApi.model_validate(raw)
    listed = {(m.upper(), path) for path, of in document.paths.items() for m in of}
    assert listed == {(r.method, r.path) for r in ROUTES}
    refs = {part.split('"')[0] for part in json.dumps(raw).split('"$ref": "')[1:]}
    assert refs
    assert refs <= {f"#/components/schemas/{name}" for name in document.components["schemas"]}
    assert document.paths["/v1/changes"]["post"].requestBody is not None
    names = {p.name: p.required for p in document.paths["/v1/queue"]["get"].parameters}
    assert names == {"name": True, "limit": False}


def test_it_answers_while_a_long_poll_waits(factory: Running) -> None:
    began = time.monotonic()
    factory.get("/v1/hello", Hello)
    assert time.monotonic() - began < 1

"""PanDA's answers word by word: whatever is no clear answer is unknown, with the server's words.

The bodies are literal ones of real servers, and what lines and proxies make of them. What the real
server can be brought to say itself is in tests/panda.
"""

from __future__ import annotations

import gzip
import json
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.model.answers import WmsCount, WmsQuery
from core.model.errors import SourceError
from core.run.worker import Worker, WorkerLost
from plugins.panda import server as panda_server
from plugins.wms.panda import PandaParams, PandaWms

JOBS = "/api/v1/statistics/active_job_detailed_stats_by_site"
QUEUES = "/api/v1/metaconfig/get_site_specs?type=all"

GOOD: Mapping[str, Any] = {
    JOBS: {
        "success": True,
        "message": "",
        "data": {"Q": {"SCORE": {"managed": {"activated": 5, "assigned": 0, "running": 2}}}},
    },
    QUEUES: {"success": True, "message": "", "data": {"Q": {"status": "online"}}},
}
Q = WmsQuery(queue="Q")


@dataclass
class Reply:
    body: bytes = b""
    code: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain"})
    length: int | None = None
    """What Content-Length says, if not the truth."""
    drip: float = 0.0
    """Seconds after each byte."""


@dataclass
class Served:
    """What is served, and what was asked."""

    url: str = ""
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def poll(self, *queries: WmsQuery, **params: object) -> list[WmsCount]:
        wms = PandaWms(PandaParams.model_validate({"url": self.url, **params}))
        return list(wms.poll(queries or [Q]).counts)

    def tell(self, path: str, data: object) -> None:
        self.replies[path] = Reply(
            json.dumps({"success": True, "message": "", "data": data}).encode()
        )

    def problem(self, **params: object) -> str:
        with pytest.raises(SourceError) as error:
            self.poll(**params)
        return str(error.value)


def handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            reply = served.replies.get(self.path) or Reply(json.dumps(GOOD[self.path]).encode())
            self.send_response(reply.code)
            length = len(reply.body) if reply.length is None else reply.length
            for name, value in {**reply.headers, "Content-Length": str(length)}.items():
                self.send_header(name, value)
            self.end_headers()
            if not reply.drip:
                self.wfile.write(reply.body)
                return
            for byte in reply.body:
                try:
                    self.wfile.write(bytes([byte]))
                except OSError:
                    return
                time.sleep(reply.drip)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture
def served() -> Iterator[Served]:
    yield from serve(lambda server: server)


def serve(wrap: Callable[[Quiet], Quiet], scheme: str = "http") -> Iterator[Served]:
    told = Served()
    server = wrap(Quiet(("127.0.0.1", 0), handler(told)))
    told.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_two_requests_for_all_queues_without_credentials(
    served: Served, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = home / ".netrc"
    netrc.write_text("default login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    queries = [Q, WmsQuery(queue="Q", labels=("user",)), WmsQuery(queue="Q", resource_type="MCORE")]
    counts = served.poll(*queries)
    assert [c.query for c in counts] == queries
    assert [(c.activated, c.running, c.status) for c in counts] == [
        (5, 2, "online"),
        (0, 0, "online"),
        (0, 0, "online"),
    ]
    assert [path for path, _ in served.asked] == [JOBS, QUEUES]
    for _, headers in served.asked:
        assert headers["accept"] == "application/json"
        assert headers["user-agent"] == "apftui"
        assert "authorization" not in headers
        assert "cookie" not in headers


DATABASE = "Database failure getting the job statistics with resource_type and prodsourcelabel"
BROKEN = {
    "its database is down": (
        Reply(json.dumps({"success": False, "message": DATABASE, "data": {}}).encode()),
        f"says: {DATABASE}; nothing is known until it answers",
    ),
    "its database is down, and it calls that a success": (
        Reply(b'{"success": true, "message": "", "data": {}}'),
        "has nothing to tell, as if its database did not answer",
    ),
    "an argument it does not know": (
        Reply(
            b'{"success": false, "message": "Argument error: got an unexpected keyword argument'
            b' \'bogus\'", "data": null}'
        ),
        "says: Argument error: got an unexpected keyword argument 'bogus'",
    ),
    "no client certificate": (
        Reply(b'{"success": false, "message": "SSL secure connection is required", "data": null}'),
        "says: SSL secure connection is required",
    ),
    "Python's repr, as without the header": (
        Reply(b"{'success': True, 'message': '', 'data': None}"),
        "answers no JSON",
    ),
    "JSON that breaks off": (
        Reply(b'{"success": true, "message": "", "data": {"Q": {"SCORE": {"managed": {"activ'),
        "answers no JSON (EOF while parsing",
    ),
    "a line that breaks off": (
        Reply(b'{"success": true, "message": "", "data": {"Q": {}}}', length=5000),
        "did not answer as a server should: IncompleteRead(51 bytes read",
    ),
    "nothing at all": (Reply(b""), "answers no JSON (EOF while parsing"),
    "success that is no bool": (
        Reply(b'{"success": "true", "message": "odd", "data": {"Q": {}}}'),
        "says: odd",
    ),
    "success without a message": (
        Reply(b'{"success": null, "data": {"Q": {}}}'),
        "says: success is not true",
    ),
    "an older server": (
        Reply(
            b"ERROR : method active_job_detailed_stats_by_site is forbidden",
            403,
        ),
        "answers 403 Forbidden: ERROR : method active_job_detailed_stats_by_site is forbidden;"
        " it must be a PanDA server of 0.6 or newer",
    ),
    "a token that nobody sent": (
        Reply(b"ERROR : Token authentication failed. expired", 403),
        "answers 403 Forbidden: ERROR : Token authentication failed. expired",
    ),
    "an exception": (
        Reply(b"'NoneType' object is not iterable", 500),
        "answers 500 Internal Server Error: 'NoneType' object is not iterable",
    ),
    "a proxy without a server": (
        Reply(b"<html><h1>503 Service Unavailable</h1>\x1b[2J</html>", 503),
        "answers 503 Service Unavailable: <html><h1>503 Service Unavailable</h1>\\x1b[2J</html>",
    ),
    "no content": (Reply(b"", 204), "answers 204 No Content: nothing more"),
    "a page to log in": (
        Reply(b"<!DOCTYPE html><title>Sign in</title>"),
        "answers no JSON (expected value at line 1 column 1): <!DOCTYPE html><title>Sign in",
    ),
    "a list": (Reply(b"[1, 2]"), "answers a list instead of success and data"),
    "text": (Reply(b'"ok"'), "answers text instead of success and data"),
    "None": (Reply(b"null"), "answers nothing instead of success and data"),
    "no data": (Reply(b'{"success": true}'), "has nothing where a table belongs"),
    "data None": (Reply(b'{"success": true, "data": null}'), "has nothing where a table belongs"),
    "data in a list": (
        Reply(b'{"success": true, "data": ["Q"]}'),
        "has a list where a table belongs",
    ),
    "a nest": (Reply(b"[" * 100_000), "answers no JSON (recursion limit exceeded"),
    "no UTF-8": (Reply(b'{"success": true, "data": {"\xff\xfe": {}}}'), "answers no JSON ("),
    "no gzip": (
        Reply(b"not compressed", headers={"Content-Encoding": "gzip"}),
        "did not answer as a server should: ",
    ),
}


@pytest.mark.parametrize("path", [JOBS, QUEUES], ids=["jobs", "queues"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_unknown_with_the_servers_own_words(
    served: Served, name: str, path: str
) -> None:
    served.replies[path], words = BROKEN[name]
    problem = served.problem()
    assert problem.startswith(f"{served.url}{path} ")
    assert words in problem
    assert problem.isprintable()
    assert len(problem) < 500  # so much of an error leaves a worker


def test_a_compressed_answer_is_one(served: Served) -> None:
    body = gzip.compress(json.dumps(GOOD[JOBS]).encode())
    served.replies[JOBS] = Reply(body, headers={"Content-Encoding": "gzip"})
    assert served.poll()[0].activated == 5


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_named_and_not_followed(served: Served, code: int) -> None:
    there = f"{served.url}/elsewhere"
    served.replies[JOBS] = Reply(b"", code, {"Location": there})
    assert f"redirects to {there}; put the server's own address into url" in served.problem()
    assert [path for path, _ in served.asked] == [JOBS]


def test_an_endless_answer_is_cut(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panda_server, "MOST", 1 << 20)
    served.replies[QUEUES] = Reply(b" " * (3 << 20))
    assert "answers with more than 1 MB" in served.problem()


def test_nobody_listens(served: Served) -> None:
    with pytest.raises(SourceError, match="cannot be reached: Connection refused; compare url"):
        PandaWms(PandaParams(url="http://127.0.0.1:1")).poll([Q])
    served.url = "http://no-such-host.invalid:25080"
    assert "cannot be reached: " in served.problem()


def test_a_silent_server_is_named(served: Served) -> None:
    served.replies[JOBS] = Reply(b"x", drip=5.0, length=2)
    began = time.monotonic()
    assert "was silent for 0.3 s; if it is only slow" in served.problem(timeout=0.3)
    assert time.monotonic() - began < 3


async def test_one_byte_a_second_ends_at_the_deadline(served: Served) -> None:
    """No time-out between bytes ever passes: the worker's deadline is for the whole call."""
    served.replies[QUEUES] = Reply(json.dumps(GOOD[QUEUES]).encode(), drip=0.3)
    worker = Worker("wms panda", "wms", {"plugin": "panda", "params": {"url": served.url}})
    try:
        await worker.call("upkeep", 20.0)  # its start is none of this
        began = time.monotonic()
        with pytest.raises(WorkerLost, match=r"no answer to poll within 1\.5 s"):
            await worker.call("poll", 1.5, wanted=[Q.model_dump()])
        assert time.monotonic() - began < 3
        assert len(served.asked) == 2
        served.replies.clear()
        answer = await worker.call("poll", 20.0, wanted=[Q.model_dump()])
        assert answer["counts"][0]["activated"] == 5
    finally:
        await worker.close()


def test_a_certificate_must_be_trusted(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *subject, *files, "-days", "2"],
        check=True,
        capture_output=True,
    )

    def secured(server: Quiet) -> Quiet:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        return server

    for served in serve(secured, "https"):
        assert "is not trusted: self-signed certificate; point ca at" in served.problem()
        assert served.poll(ca=str(certificate))[0].activated == 5
        missing = served.problem(ca=str(tmp_path / "none.pem"))
        assert "none.pem" in missing
        served.url = served.url.replace("https", "http")
        assert "://" in served.problem()


def test_plain_http_where_tls_is_asked(served: Served) -> None:
    served.url = served.url.replace("http", "https")
    assert "is not trusted: " in served.problem() or "cannot be reached" in served.problem()


ODD = {
    "None": None,
    "a list": ["SCORE"],
    "a number": 5,
    "resource type None": {"SCORE": None},
    "a list of labels": {"SCORE": ["managed"]},
    "label None": {"SCORE": {"managed": None}},
    "a list of states": {"SCORE": {"managed": [["activated", 5]]}},
    "a negative number": {"SCORE": {"managed": {"activated": -1}}},
    "half a job": {"SCORE": {"managed": {"activated": 1.5}}},
    "a number as text": {"SCORE": {"managed": {"activated": "5"}}},
    "a bool": {"SCORE": {"managed": {"activated": True}}},
    "no number": {"SCORE": {"managed": {"activated": None}}},
    "more than there can be": {"SCORE": {"managed": {"activated": 10**30}}},
    "a hostile one": {"SC\x1b[31mORE": {"managed": "\u202e\x00" * 100}},
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_in_one_queue_makes_that_one_unknown(served: Served, name: str) -> None:
    good = GOOD[JOBS]["data"]["Q"]
    served.tell(JOBS, {"Odd": ODD[name], "Q": good})
    served.tell(QUEUES, {"Odd": {"status": "online"}, "Q": {"status": "online"}})
    odd, q = served.poll(WmsQuery(queue="Odd"), Q)
    assert q.activated == 5
    assert (odd.activated, odd.running, odd.status) == (None, None, "online")
    assert odd.problem is not None
    assert odd.problem.startswith("cannot read PanDA's count: ")
    assert odd.problem.isprintable()


def test_what_is_odd_elsewhere_in_a_queue_is_no_matter(served: Served) -> None:
    served.tell(
        JOBS,
        {
            "Q": {
                "SCORE": {"managed": {"activated": 3}, "user": {"activated": -3}},
                "MCORE": None,
                "Undefined": {"managed": {"activated": 4}},
                "null": {"null": {"activated": 5}},
            },
            "null": {"null": {"null": {"null": 1}}},
        },
    )
    for resource_type, activated in (("SCORE", 3), ("Undefined", 4), ("HIMEM", 0)):
        query = WmsQuery(queue="Q", resource_type=resource_type, labels=("managed",))
        assert served.poll(query)[0].activated == activated
    assert served.poll(WmsQuery(queue="Q", resource_type="MCORE"))[0].activated is None
    nobody = served.poll(WmsQuery(queue="null"))[0]
    assert (nobody.activated, nobody.other) == (0, {"null": 1})


@pytest.mark.parametrize("spec", [None, [], "online", {}, {"status": None}, {"status": 3}])
def test_without_a_status_the_counts_are_known(served: Served, spec: object) -> None:
    served.tell(QUEUES, {"Q": spec})
    count = served.poll()[0]
    assert (count.activated, count.status) == (5, None)
    assert count.problem == "its status is unknown: it is without a status in get_site_specs"


def test_states_of_a_hostile_server_stay_few_and_clean(served: Served) -> None:
    states = {f"s{i}\x1b[2J": i for i in range(1000)} | {"x" * 5000: 10**6, "activated": 1}
    served.tell(JOBS, {"Q": {"SCORE": {"managed": states}}})
    count = served.poll()[0]
    assert count.activated == 1
    assert len(count.other) == 21
    assert sum(count.other.values()) == 10**6 + sum(range(1000))
    assert all(name.isprintable() and len(name) <= 40 for name in count.other)


def test_a_queue_of_the_specs_without_jobs_is_empty(served: Served) -> None:
    served.tell(QUEUES, {"Q": {"status": "online"}, "Idle": {"status": "offline"}})
    idle = served.poll(WmsQuery(queue="Idle"))[0]
    assert (idle.activated, idle.running, idle.other, idle.problem) == (0, 0, {}, None)
    assert idle.status == "offline"


@pytest.mark.parametrize(
    ("labels", "activated", "left_out"),
    [
        ((), 7, 56),
        (("managed",), 7, 8),
        (("managed", "test"), 1, 8),
        (("rc_test2",), 16, 0),
        (("rc_alrb", "managed"), 32, 8),
        (("prod_test", "test"), 3, 0),
    ],
)
def test_labels_that_count_while_the_status_is_test(
    served: Served, labels: tuple[str, ...], activated: int, left_out: int
) -> None:
    names = ("test", "prod_test", "install", "managed", "rc_test2", "rc_alrb")
    jobs = {name: {"activated": 1 << i} for i, name in enumerate(names)}
    served.tell(JOBS, {"Q": {"SCORE": jobs}})
    served.tell(QUEUES, {"Q": {"status": "test"}})
    count = served.poll(WmsQuery(queue="Q", labels=labels))[0]
    assert count.activated == activated
    if left_out:
        assert (count.note or "").startswith(f"{left_out} activated not counted: ")
    else:
        assert count.note is None


def test_an_operator_says_which_labels_are_tests(served: Served) -> None:
    served.tell(JOBS, {"Q": {"SCORE": {"pilot_rc": {"activated": 3}, "test": {"activated": 4}}}})
    served.tell(QUEUES, {"Q": {"status": "test"}})
    query = WmsQuery(queue="Q", labels=("pilot_rc",))
    assert served.poll(query)[0].activated == 4
    assert served.poll(query, test_labels=["pilot_rc"])[0].activated == 3

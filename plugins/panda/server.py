"""A PanDA server's API v1: the data of one GET, or why there are none.

Its errors are HTTP 200 too, its content type is always text/plain, and without exactly
`Accept: application/json` it answers with Python's repr. So nothing is taken for an answer but
JSON that says `success: true` with a filled table.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pydantic_core import from_json

from core.model.errors import SourceError
from core.model.text import clean

if TYPE_CHECKING:
    import requests

MOST = 128 * 1024 * 1024
"""Bytes of one answer: 10,000 queues in six resource types have 80 MB of specs."""
_CHUNK = 256 * 1024
_TOLD = 160
"""Characters of a server's own words that are repeated."""
_ASK = "nothing is known until it answers; if that lasts, ask those who run the server"


class Server:
    """A server, for the time of one poll: its name may stand for another machine next time."""

    def __init__(self, url: str, ca: Path | None, timeout: float) -> None:
        """`timeout`: seconds of silence after which it is given up."""
        import requests

        self._url = url
        self._timeout = timeout
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"
        self._session.headers["User-Agent"] = "apftui"
        # No credentials are wanted: else those of ~/.netrc would be sent.
        self._session.auth = lambda request: request
        self._verify = True if ca is None else str(ca)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()

    def table(self, method: str) -> dict[str, Any]:
        """Return the data of `module/method`, an object with something in it.

        Raise SourceError with the server's own words for everything else.
        """
        url = f"{self._url}/api/v1/{method}"
        answer = _parsed(url, self._body(url))
        if not isinstance(answer, dict) or "success" not in answer:
            raise SourceError(f"{url} answers {_kind(answer)} instead of success and data", _ASK)
        said = clean(str(answer.get("message") or ""), _TOLD)
        if answer["success"] is not True:
            raise SourceError(f"{url} says: {said or 'success is not true'}", _ASK)
        data = answer.get("data")
        if not isinstance(data, dict):
            raise SourceError(f"{url} has {_kind(data)} where a table belongs", _ASK)
        if not data:
            empty = f"{url} has nothing to tell, as if its database did not answer"
            raise SourceError(f"{empty}: {said}" if said else empty, _ASK)
        return data

    def _body(self, url: str) -> bytes:
        try:
            with self._session.get(
                url,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
                verify=self._verify,
            ) as response:
                body = _read(url, response)
                _check(url, response, body)
                return body
        except (OSError, ValueError) as error:  # requests' own errors are OSErrors
            raise self._failure(url, error) from None

    def _failure(self, url: str, error: Exception) -> SourceError:
        import requests

        cause = _innermost(error)
        if isinstance(error, requests.exceptions.Timeout) or isinstance(cause, TimeoutError):
            problem = f"{url} was silent for {self._timeout:g} s"
            return SourceError(problem, "if it is only slow, raise timeout and deadline")
        if isinstance(error, requests.exceptions.SSLError):
            problem = f"{url} is not trusted: {_words(cause)}"
            return SourceError(problem, "point ca at the authority that signed its certificate")
        if isinstance(error, requests.exceptions.ConnectionError):
            problem = f"{url} cannot be reached: {_words(cause)}"
            return SourceError(problem, "compare url with where the server is")
        return SourceError(f"{url} did not answer as a server should: {_words(cause)}", _ASK)


def _read(url: str, response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > MOST:
            raise SourceError(f"{url} answers with more than {MOST >> 20} MB", _ASK)
    return bytes(body)


def _check(url: str, response: requests.Response, body: bytes) -> None:
    if response.status_code == 200:
        return
    said = clean(body[:_TOLD].decode(errors="replace").strip(), _TOLD)
    if 300 <= response.status_code < 400:
        place = clean(response.headers.get("Location", "nowhere"), 200)
        raise SourceError(f"{url} redirects to {place}", "put the server's own address into url")
    reason = clean(response.reason or "", 40)
    problem = f"{url} answers {response.status_code} {reason}: {said or 'nothing more'}"
    its_own = response.status_code >= 500
    raise SourceError(problem, _ASK if its_own else "it must be a PanDA server of 0.6 or newer")


def _parsed(url: str, body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError as error:
        start = clean(body[:60].decode(errors="replace"), 80)
        problem = f"{url} answers no JSON ({error}): {start}"
        raise SourceError(problem, "what stands between must leave the header Accept") from None


def _innermost(error: BaseException) -> BaseException:
    """Return where it began: the errors around it only repeat the address."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _words(error: BaseException) -> str:
    told = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
    return clean(str(told) or type(error).__name__, _TOLD)


def _kind(value: object) -> str:
    names = {dict: "a table", list: "a list", str: "text", type(None): "nothing", bool: "a bool"}
    return names.get(type(value), "a number")

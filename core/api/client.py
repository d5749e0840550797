"""Asks a running factory over its Unix socket."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from core.api.models import Problem
from core.api.socket import LONGEST
from core.model.errors import ApftuiError, NotFound, Stale
from core.model.text import clean

M = TypeVar("M", bound=BaseModel)


class NoFactory(ApftuiError):
    """Nobody listens on the socket."""


class Client:
    """The control API, typed: `async with Client(socket) as factory: await factory.get(...)`.

    Every call raises an ApftuiError that says what happened and the cure: NoFactory, NotFound
    (404), Stale (409, with the diff). `deadline` is in seconds and covers the whole call.
    """

    def __init__(self, socket: Path, deadline: float = 10.0) -> None:
        self.socket = socket
        self.deadline = deadline

    async def __aenter__(self) -> Self:
        if len(os.fsencode(self.socket)) > LONGEST:
            raise ApftuiError(
                f"the socket's path {self.socket} is longer than {LONGEST} bytes",
                "choose a shorter state folder",
            )
        self._session = aiohttp.ClientSession(
            "http://factory",  # HTTP wants a host; the connector goes to the socket
            connector=aiohttp.UnixConnector(path=str(self.socket)),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(
        self, path: str, model: type[M], *, deadline: float | None = None, **query: str | float
    ) -> M:
        """Read `path`, for example `get("/v1/queue", QueueDetail, name="BNL")`."""
        body = await self._call("GET", path, deadline, query=query)
        return self._understand(body, model)

    async def post(
        self, path: str, body: BaseModel | None, model: type[M], *, deadline: float | None = None
    ) -> M:
        """Ask for a change. After a NoFactory nothing was changed."""
        return self._understand(await self._call("POST", path, deadline, body=body), model)

    async def tell(
        self, path: str, body: BaseModel | None = None, *, deadline: float | None = None
    ) -> None:
        """Post, and want no answer but that it was taken."""
        await self._call("POST", path, deadline, body=body)

    async def _call(
        self,
        method: str,
        path: str,
        deadline: float | None,
        *,
        body: BaseModel | None = None,
        query: dict[str, str | float] | None = None,
    ) -> bytes:
        seconds = self.deadline if deadline is None else deadline
        asked = "" if method == "GET" else "; look whether it was done before you ask again"
        try:
            async with self._session.request(
                method,
                path,
                params=query or None,
                data=body.model_dump_json(by_alias=True) if body else None,
                headers={"Content-Type": "application/json"} if body else None,
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as response:
                content = await response.read()
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, PermissionError):
                raise NoFactory(
                    f"you may not use {self.socket}",
                    "the factory runs as another user: ask for [factory] socket_group",
                ) from error
            raise NoFactory(
                f"no factory answers on {self.socket}", "start one with `apftui`"
            ) from error
        except TimeoutError as error:
            raise ApftuiError(
                f"the factory on {self.socket} gave no answer within {seconds:g} s{asked}"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ApftuiError(
                f"the factory on {self.socket} broke the connection{asked}"
            ) from error
        if response.status >= 400:
            raise _refusal(response.status, content)
        return content

    def _understand(self, body: bytes, model: type[M]) -> M:
        try:
            # A newer factory may tell more than this client knows of.
            return model.model_validate_json(body, extra="ignore")
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ApftuiError(
                f"the factory's {model.__name__} is not understood: {place}: {first['msg']}",
                "use the apftui that the factory was started with",
            ) from error


def _refusal(status: int, body: bytes) -> ApftuiError:
    try:
        problem = Problem.model_validate_json(body, extra="ignore")
    except ValidationError:
        text = clean(body.decode(errors="replace"), 200)
        problem = Problem(error=f"the factory answered HTTP {status}: {text}")
    if status == 404:
        return NotFound(problem.error)
    if status == 409:
        return Stale(problem.error, diff=problem.diff)
    return ApftuiError(problem.error)

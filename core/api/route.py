"""One call of the control API: its path, what it takes and gives, and who answers it."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from pydantic import BaseModel

from core.api.peer import Peer
from core.model.frozen import Frozen
from core.run.factory import Factory


class NoQuery(Frozen):
    """For calls without a query."""


class Call(NamedTuple):
    """One request as a handler gets it."""

    factory: Factory
    peer: Peer
    query: Any
    body: Any


class Route(NamedTuple):
    """One call of the API. `answer` is a type that pydantic can dump."""

    method: str
    path: str
    query: type[BaseModel]
    body: type[BaseModel] | None
    answer: Any
    handler: Callable[[Call], Awaitable[Any]]

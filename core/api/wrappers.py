"""Wrappers over the API: look, try out, publish."""

from functools import partial

from anyio import to_thread
from pydantic import Field

from core.api.models import Action
from core.api.route import Call, NoQuery, Route
from core.model.frozen import Frozen
from core.run.actions import action
from core.run.drafts import Draft, Fault, render_one, try_out, users
from core.run.publishing import (
    VersionStatus,
    WrapperStatus,
    WrapperText,
    wrapper_text,
    wrappers,
)

__all__ = [
    "CheckResult",
    "Draft",
    "Fault",
    "PublishRequest",
    "RenderRequest",
    "Script",
    "VersionStatus",
    "WrapperStatus",
    "WrapperText",
]


class WrapperQuery(Frozen):
    """Which wrapper, and which version; "" is the one that counts."""

    name: str
    version: str = ""


class RenderRequest(Draft):
    """A draft as one queue would get it; "" is no queue, with sample values."""

    queue: str = ""


class Script(Frozen):
    """What is sent to worker nodes, byte by byte."""

    text: str
    sha256: str
    """As in the jobs' `APFWrapper`."""


class CheckResult(Frozen):
    """What keeps a draft from being published, if anything does."""

    faults: tuple[Fault, ...]
    queues: tuple[str, ...]
    """All that use the wrapper."""


class PublishRequest(Draft):
    """Make a draft, or an old version, the one that counts."""

    message: str = Field(min_length=1, max_length=500, pattern=r"\S")
    base: str
    """The version that the operator saw to be the one that counts; "" if there was none."""


async def list_wrappers(call: Call) -> tuple[WrapperStatus, ...]:
    """List wrappers, their versions and the queues that use them."""
    return await to_thread.run_sync(wrappers, call.factory.generation.settings)


async def wrapper(call: Call) -> WrapperText:
    """Give one version of a wrapper, whole."""
    query: WrapperQuery = call.query
    settings = call.factory.generation.settings
    return await to_thread.run_sync(wrapper_text, settings, query.name, query.version)


async def render(call: Call) -> Script:
    """Render a draft, or a version, for one queue."""
    body: RenderRequest = call.body
    settings = call.factory.generation.settings
    made = await to_thread.run_sync(partial(render_one, settings, body, body.queue))
    return Script(text=made.text, sha256=made.sha256)


async def check(call: Call) -> CheckResult:
    """Try a draft on all queues that use it; nothing of it is run."""
    body: Draft = call.body
    settings = call.factory.generation.settings
    tried = await try_out(settings, body)
    return CheckResult(faults=tried.faults, queues=tuple(users(settings, body.name)))


async def publish(call: Call) -> Action:
    """Publish a draft, or an old version anew, as the next version of its wrapper."""
    body: PublishRequest = call.body
    done = await call.factory.publish(body, base=body.base, message=body.message, by=str(call.peer))
    return action(done)


ROUTES = (
    Route("GET", "/v1/wrappers", NoQuery, None, tuple[WrapperStatus, ...], list_wrappers),
    Route("GET", "/v1/wrapper", WrapperQuery, None, WrapperText, wrapper),
    Route("POST", "/v1/render", NoQuery, RenderRequest, Script, render),
    Route("POST", "/v1/check", NoQuery, Draft, CheckResult, check),
    Route("POST", "/v1/publish", NoQuery, PublishRequest, Action, publish),
)

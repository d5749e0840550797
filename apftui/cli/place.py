"""Which factory is meant: its settings file, its table `[factory]`, its socket."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from apftui.cli.command import Common, Misplaced
from core.model.errors import ApftuiError, SettingsError
from core.settings.search import find_settings

if TYPE_CHECKING:
    from core.api.client import Client
    from core.settings.schema import FactoryTable, Settings

T = TypeVar("T")


class Place(NamedTuple):
    """A factory that may or may not run."""

    settings: Path
    factory: FactoryTable
    socket: Path


def settings_file(common: Common) -> Path:
    """Return the settings file. Raise Misplaced naming where it was looked for."""
    try:
        return find_settings(common.config, os.environ)
    except SettingsError as error:
        raise Misplaced(str(error)) from error


def place(common: Common) -> Place:
    """Find the factory without judging its queues: it may run with settings of before."""
    from core.api.socket import find_socket
    from core.settings.load import read_factory

    path = settings_file(common)
    factory = read_factory(path)
    return Place(path, factory, find_socket(factory, os.environ))


def effective(path: Path) -> Settings:
    """Read and judge all settings, and lay operators' overrides over them."""
    from core.settings.load import read_layers, resolve
    from core.settings.overrides import FILE, read

    layers = read_layers(path)
    return resolve(layers, read(layers.base.factory.state / FILE))


def ask(where: Place, question: Callable[[Client], Awaitable[T]]) -> T:
    """Return a running factory's answer. Raise NoFactory if none runs there."""
    import anyio

    from core.api.client import Client, NoFactory
    from core.state.lock import held, holder

    async def talk() -> T:
        async with Client(where.socket) as factory:
            return await question(factory)

    try:
        return anyio.run(talk)
    except NoFactory as error:
        if refused(error):
            raise
        if held(where.factory.state):
            raise ApftuiError(
                f"{holder(where.factory.state)} has {where.factory.state}"
                f" and does not answer on {where.socket}",
                "it starts or stops: try again in some seconds",
            ) from error
        raise NoFactory(
            f"no factory runs for {where.settings}",
            "start one with `apftui`, or with `apftui --no-ui` to stay in the foreground",
        ) from error


def refused(error: ApftuiError) -> bool:
    """Tell whether somebody listens who is not to be used by this account."""
    return isinstance(getattr(error.__cause__, "os_error", None), PermissionError)

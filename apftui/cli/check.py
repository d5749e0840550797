"""`apftui check`: everything that can be judged without running."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from apftui.cli import show
from apftui.cli.command import Command, Common, Failed
from apftui.cli.place import settings_file
from core.model.errors import ApftuiError, SettingsError

if TYPE_CHECKING:
    from core.settings.load import Layers
    from core.settings.schema import Settings


@click.command(cls=Command, example="apftui check --config /etc/apftui/factory.toml")
@click.pass_context
def check(context: click.Context) -> None:
    """Check settings, wrappers and state folder.

    Nothing is asked, run or written.
    """
    from core.settings.load import read_layers

    common = context.ensure_object(Common)
    path = settings_file(common)
    settings: Settings | None = None
    try:
        layers = read_layers(path)
        settings, problems = _judged(layers)
    except SettingsError as error:
        problems = str(error).splitlines()
    if common.json:
        told = _summary(settings) if settings else {}
        show.as_json({"ok": not problems, "settings": str(path), "problems": problems, **told})
    elif settings is not None and not problems:
        show.pairs(_lines(settings))
    else:
        for problem in problems:
            Failed(problem).show()
    if problems:
        context.exit(1)


def _judged(layers: Layers) -> tuple[Settings, list[str]]:
    from core.api.socket import socket_path
    from core.settings.load import resolve
    from core.settings.overrides import FILE, read

    base = layers.base
    problems = [*dict.fromkeys(_wrappers(base)), *_state(base.factory.state)]
    try:
        socket_path(base.factory, os.environ)
    except ApftuiError as error:
        problems.append(str(error))
    try:
        return resolve(layers, read(base.factory.state / FILE)), problems
    except ApftuiError as error:
        return base, [*problems, str(error)]


def _wrappers(settings: Settings) -> Iterator[str]:
    from core.run.generation import wrapper_context
    from core.settings.wrappers import Library

    library = Library.of(settings.factory)
    for name, queue in settings.queues.items():
        try:
            library.render(
                queue.wrapper, queue.wrapper_parameters, wrapper_context(settings, queue)
            )
        except SettingsError as error:
            yield f"queue {name}: {error}"
    try:
        every = [(name, number) for name in library.names() for number in library.numbers(name)]
    except SettingsError as error:
        yield str(error)
        return
    for name, number in every:
        try:
            library.content(name, str(number))
        except SettingsError as error:
            yield str(error)


def _state(folder: Path) -> Iterator[str]:
    from core.state.folder import refuse_remote

    try:
        there = next(each for each in (folder, *folder.parents) if each.exists())
        refuse_remote(there)
    except OSError as error:
        yield f"cannot look at the state folder {folder}: {error.strerror}"
        return
    except ApftuiError as error:
        yield str(error)
        return
    if not there.is_dir():
        yield f"the state folder {folder} cannot be made: {there} is a file"
    elif not os.access(there, os.W_OK | os.X_OK):
        yield (
            f"this account may not write the state folder {folder};"
            " check as the factory's own account, or set [factory] state"
        )


def _summary(settings: Settings) -> dict[str, Any]:
    from core.state.lock import held

    factory = settings.factory
    return {
        "factory": {
            "name": factory.name,
            "state": str(factory.state),
            "cycle_s": factory.cycle,
            "started_by": factory.started_by,
            "runs": held(factory.state),
        },
        "wms": [{"name": t.name, "plugin": t.plugin} for t in settings.wms.values()],
        "batch": [{"name": t.name, "plugin": t.plugin} for t in settings.batch.values()],
        "queues": [
            {
                "name": q.name,
                "wms": q.wms,
                "batch": q.batch,
                "wrapper": q.wrapper,
                "chain": [link.plugin for link in q.chain],
                "paused": q.paused,
                "drain": q.drain,
                "apf_compat": q.apf_compat,
            }
            for q in settings.queues.values()
        ],
        "set_aside": settings.orphans,
    }


def _lines(settings: Settings) -> Iterator[tuple[str, str]]:
    from core.state.lock import held, holder

    factory = settings.factory
    yield "settings", f"{settings.path}: ok"
    yield "factory", f"{factory.name}, a pass every {factory.cycle:g} s"
    yield "state", str(factory.state)
    yield "runs", holder(factory.state) if held(factory.state) else "no"
    for wms in settings.wms.values():
        yield "wms", f"{wms.name} ({wms.plugin})"
    for batch in settings.batch.values():
        yield "batch", f"{batch.name} ({batch.plugin})"
    if not settings.queues:
        yield "queues", "none: add a table [queues.NAME]"
    for queue in settings.queues.values():
        chain = ", ".join(link.plugin for link in queue.chain)
        said = {"paused": queue.paused, "drain": queue.drain, "apf_compat": queue.apf_compat}
        more = ", ".join(word for word, true in said.items() if true)
        yield "queue", f"{queue.name}: {chain}{f' ({more})' if more else ''}"
    for orphan in settings.orphans:
        yield "set aside", f"override of {orphan.queue}: {orphan.key}: {orphan.problem}"

"""`apftui wrappers …`: what pilots start with; which version, for which queue."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from apftui.cli import options, show
from apftui.cli.command import Common, Group
from apftui.cli.place import ask, effective, place, settings_file

if TYPE_CHECKING:
    from pydantic import BaseModel

    from core.api.client import Client
    from core.api.models import Action
    from core.api.wrappers import Draft, WrapperStatus, WrapperText
    from core.settings.schema import Settings

M = TypeVar("M", bound="BaseModel")

_version = click.option(
    "--version", default="", metavar="N|shipped|folder", help="Another than the one that counts."
)
_manifest = click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Another wrapper.yaml than the one that counts.",
)


@click.group(
    cls=Group,
    example="apftui wrappers show generic --template > generic.sh\n"
    "apftui wrappers render BNL_PROD --file generic.sh\n"
    "apftui wrappers publish generic generic.sh --message 'cvmfs looked for first'",
)
def wrappers() -> None:
    """Look at wrappers, edit them, roll them back.

    A wrapper is the script that a pilot starts with. Published versions are numbered and never
    change; the highest number counts.
    """


@wrappers.command("list", example="apftui wrappers list --json")
@click.pass_obj
def list_(common: Common) -> None:
    """List wrappers, which version counts, who uses it.

    Also while no factory runs.
    """
    from core.api.client import NoFactory
    from core.run.publishing import wrappers

    try:
        found = ask(place(common), _listed)
    except NoFactory:
        found = wrappers(effective(settings_file(common)))
    if common.json:
        show.as_json(found)
        return
    show.table(
        ("WRAPPER", "VERSION", "QUEUES", "BY", "AGE", "MESSAGE"),
        (_row(w) for w in found),
        right=("QUEUES", "AGE"),
    )


def _row(wrapper: WrapperStatus) -> tuple[str, ...]:
    now = next((v for v in wrapper.versions if v.version == wrapper.version), None)
    by, at, message = (now.by, now.at, now.message) if now else ("", None, "")
    age = "-" if at is None else show.age(time.time() - at)
    told = wrapper.problem or message or wrapper.summary
    return wrapper.name, wrapper.version, str(len(wrapper.queues)), by or "-", age, told


@wrappers.command(
    "show", example="apftui wrappers show generic\napftui wrappers show generic --template > my.sh"
)
@click.argument("name", metavar="NAME")
@_version
@click.option("--template", is_flag=True, help="Print wrapper.sh as it is, to edit it.")
@click.pass_obj
def show_(common: Common, name: str, version: str, template: bool) -> None:
    """Show a wrapper: its parameters, versions and queues.

    With --version that version's parameters. Also while no factory runs.
    """
    from core.api.client import NoFactory
    from core.api.wrappers import WrapperText
    from core.run.publishing import wrapper_text, wrappers
    from core.settings.manifest import read_manifest

    async def question(factory: Client) -> tuple[WrapperText, tuple[WrapperStatus, ...]]:
        text = await factory.get("/v1/wrapper", WrapperText, name=name, version=version)
        return text, await _listed(factory)

    try:
        text, every = ask(place(common), question)
    except NoFactory:
        settings = effective(settings_file(common))
        text, every = wrapper_text(settings, name, version), wrappers(settings)
    if template:
        click.echo(show.script(text.template), nl=False)
        return
    status = next(w for w in every if w.name == name)
    if common.json:
        show.as_json({"wrapper": status, "shown": text})
        return
    manifest = read_manifest(text.manifest, name, "wrapper.yaml")
    shown = "" if text.version == status.version else f"; shown here is {text.version}"
    queues = ", ".join(status.queues) or "none"
    show.pairs(
        [
            ("wrapper", f"{name}: {manifest.summary}"),
            ("version", f"{status.version} counts{shown}"),
            ("queues", f"{len(status.queues)}: {queues}" if status.queues else queues),
            ("includes", ", ".join(sorted(text.steps)) or "nothing"),
        ]
    )
    click.echo()
    show.table(
        ("PARAMETER", "TYPE", "DEFAULT", "WHAT"),
        (
            (key, p.type, p.from_ or ("required" if p.required else str(p.default)), p.help)
            for key, p in manifest.parameters.items()
        ),
    )
    click.echo()
    show.table(
        ("VERSION", "BY", "AGE", "MESSAGE"),
        (
            (
                v.version,
                v.by or "-",
                "-" if v.at is None else show.age(time.time() - v.at),
                v.problem or v.message,
            )
            for v in status.versions
        ),
        right=("AGE",),
    )


@wrappers.command(
    example="apftui wrappers render BNL_PROD\napftui wrappers render BNL_PROD --file generic.sh"
)
@click.argument("queue", metavar="QUEUE")
@click.option(
    "--file", type=click.Path(path_type=Path), metavar="FILE", help="A template of yours, tried."
)
@_version
@_manifest
@click.pass_obj
def render(
    common: Common, queue: str, file: Path | None, version: str, manifest: Path | None
) -> None:
    """Print the script that a queue's new pilots get.

    Byte by byte as it is sent. Also while no factory runs.
    """
    from core.api.client import NoFactory
    from core.api.models import QueueDetail
    from core.api.wrappers import Draft, RenderRequest, Script
    from core.model.errors import NotFound
    from core.run.drafts import render_one

    texts = {"template": _text(file), "manifest": _text(manifest)}

    def draft(name: str) -> Draft:
        return _made(Draft, name=name, version=version, **texts)

    async def question(factory: Client) -> Script:
        detail = await factory.get("/v1/queue", QueueDetail, name=queue, limit=1)
        if not detail.status.wrapper:
            raise NotFound(f"queue {queue} has left the settings and gets no new pilots")
        wanted = RenderRequest(**draft(detail.status.wrapper).model_dump(), queue=queue)
        return await factory.post("/v1/render", wanted, Script)

    try:
        script = ask(place(common), question)
    except NoFactory:
        settings: Settings = effective(settings_file(common))
        if queue not in settings.queues:
            raise NotFound(f"there is no queue {queue}", "see `apftui check`") from None
        made = render_one(settings, draft(settings.queues[queue].wrapper), queue)
        script = Script(text=made.text, sha256=made.sha256)
    if common.json:
        show.as_json(script)
    else:
        click.echo(show.script(script.text), nl=False)


@wrappers.command(
    example="apftui wrappers publish generic generic.sh --message 'cvmfs looked for first'\n"
    "apftui wrappers publish generic --version 3 --message 'back: 4 breaks at TRIUMF'"
)
@click.argument("name", metavar="NAME")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@_version
@_manifest
@click.option(
    "--message",
    required=True,
    callback=options.reason,
    metavar="TEXT",
    help="What was changed, and why.",
)
@click.option("--base", metavar="N", help="Refuse if another version counts by now.")
@click.pass_obj
def publish(
    common: Common,
    name: str,
    file: Path | None,
    version: str,
    manifest: Path | None,
    message: str,
    base: str | None,
) -> None:
    """Publish FILE as a wrapper's next version, or an old version anew.

    New pilots of the queues that use it get it; those that are there keep theirs. What one of
    these queues could not use, or what bash cannot read, is refused.
    """
    from core.api.models import Action
    from core.api.wrappers import PublishRequest

    if file is None and manifest is None and not version:
        raise click.UsageError("give a FILE, or --version N to publish that one again")
    if not message.strip():
        raise click.BadParameter("say what was changed", param_hint="--message")
    texts = {"template": _text(file), "manifest": _text(manifest)}

    async def question(factory: Client) -> tuple[Action, int]:
        found = next((w for w in await _listed(factory) if w.name == name), None)
        seen = found.version if found else ""
        wanted = _made(
            PublishRequest,
            **texts,
            name=name,
            version=version,
            message=message,
            base=seen if base is None else base,
        )
        done = await factory.post("/v1/publish", wanted, Action, deadline=60)
        return done, len(found.queues) if found else 0

    done, queues = ask(place(common), question)
    if common.json:
        show.as_json(done)
    else:
        use = f"{show.count(queues, 'queue')} use{'s' if queues == 1 else ''} it"
        click.echo(f"{done.what}: {done.state}; {use}")


def _text(file: Path | None) -> str | None:
    from core.model.errors import ApftuiError

    try:
        return None if file is None else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ApftuiError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from error


def _made(model: type[M], **values: str | None) -> M:
    """Return what is asked of the factory. Raise ApftuiError for what it would not look at."""
    from pydantic import ValidationError

    from core.model.errors import ApftuiError

    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ApftuiError(f"{place}: {first['msg']}") from None


async def _listed(factory: Client) -> tuple[WrapperStatus, ...]:
    from pydantic import RootModel

    from core.api.wrappers import WrapperStatus

    return (await factory.get("/v1/wrappers", RootModel[tuple[WrapperStatus, ...]])).root

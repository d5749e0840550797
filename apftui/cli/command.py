"""What all commands have in common: `--config` and `--json` anywhere, an example, short errors."""

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from core.model.errors import ApftuiError, Stale
from core.model.text import clean


@dataclass
class Common:
    """Options that stand before or after the command; the later one wins."""

    config: Path | None = None
    json: bool = False


class Failed(click.ClickException):
    """Exit code 1: what happened and the cure, without a traceback."""

    def show(self, file: Any = None) -> None:
        """Print it with the program's name, as the shell's own tools do."""
        for line in self.message.splitlines():
            click.echo(f"apftui: {clean(line, 4000)}", err=True, file=file)


class Misplaced(Failed):
    """Exit code 2: the settings file that was meant is not there."""

    exit_code = 2


def _options() -> list[click.Parameter]:
    def config(context: click.Context, _: click.Parameter, value: Path | None) -> None:
        if value is not None:
            context.ensure_object(Common).config = value

    def as_json(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.ensure_object(Common).json = True

    return [
        click.Option(
            ["--config"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The settings file.",
            expose_value=False,
            callback=config,
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            help="Print JSON.",
            expose_value=False,
            callback=as_json,
        ),
    ]


class Command(click.Command):
    """A command with the common options and an example in its help."""

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _options()
        self.epilog = _example(example)


class Group(click.Group):
    """Commands below one word."""

    command_class = Command

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += _options()
        self.epilog = _example(example)


class Root(Group):
    """The program itself: turns what can be expected to go wrong into one line and a code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse what no request can hold; only a file may have such a name."""
        for before, arg in zip(("", *args), args, strict=False):
            if not (_is_utf8(arg) or "--config" in (before, arg.partition("=")[0])):
                ctx.fail(f"{clean(arg, 200)} is not UTF-8: see `locale`")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        ctx.ensure_object(Common)
        try:
            return super().invoke(ctx)
        except ApftuiError as error:
            # What differs now, if somebody was quicker.
            lines = (str(error), *(error.diff if isinstance(error, Stale) else ()))
            raise Failed("\n".join(lines)) from error
        except OSError as error:
            if error.errno in (None, errno.EPIPE):  # click ends quietly when nobody reads on
                raise
            where = f"{error.filename}: " if error.filename else ""
            raise Failed(f"{where}{error.strerror}") from error


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _example(text: str) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in text.splitlines())

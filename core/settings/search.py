"""Where the settings file is."""

from collections.abc import Mapping
from pathlib import Path

from core.model.errors import SettingsError
from core.model.text import clean

SYSTEM = Path("/etc/apftui/factory.toml")


class NoSettings(SettingsError):
    """There is no settings file in any of the places where it is looked for."""


def find_settings(given: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the settings file: `given` (--config), $APFTUI_CONFIG, the user's, the system's.

    The current folder is never looked in. Raise NoSettings naming all places, SettingsError if
    a file that was asked for by name is not there.
    """
    if given is not None:
        return _named(given, "--config")
    if from_environment := environ.get("APFTUI_CONFIG"):
        return _named(Path(from_environment), "$APFTUI_CONFIG")
    places = (_config_home(environ) / "apftui" / "factory.toml", SYSTEM)
    for place in places:
        if _exists(place):
            return place
    looked = ", ".join(clean(str(place)) for place in places)
    raise NoSettings(
        f"no settings file: looked for --config, $APFTUI_CONFIG, {looked}",
        "write one with apftui init, or name one with --config",
    )


def _named(path: Path, by: str) -> Path:
    path = path.expanduser().absolute()
    if not _exists(path):
        raise SettingsError(
            f"{clean(str(path))}: no such settings file (from {by})",
            f"correct {by}, or write the file with apftui init",
        )
    return path


def _config_home(environ: Mapping[str, str]) -> Path:
    named = Path(environ.get("XDG_CONFIG_HOME") or "")
    # The XDG specification: a relative path is invalid and to be ignored.
    return named if named.is_absolute() else Path.home() / ".config"


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise SettingsError(
            f"{clean(str(path))}: cannot be looked at: {error.strerror}",
            "make it readable for this account, or name another file with --config",
        ) from error
    return True

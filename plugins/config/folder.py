"""folder: queues from the TOML files of a folder, in the order of their names."""

from pathlib import Path
from typing import Any

from pydantic import Field

from core.model.errors import SettingsError
from core.model.plugin import Config, Params, QueueTable
from core.model.text import clean
from core.settings.toml_file import read_toml


class FolderParams(Params):
    path: Path = Field(default=Path("queues.d"), description="Folder of *.toml files.")


class FolderConfig(Config[FolderParams]):
    """Every `*.toml` that is not hidden; each holds tables `[queues.NAME]` and nothing else."""

    params = FolderParams

    def load(self) -> QueueTable:
        folder = self.base / self.settings.path
        try:
            files = sorted(p for p in folder.iterdir() if _wanted(p.name))
        except OSError as error:
            raise SettingsError(
                f"{clean(str(folder))}: cannot be listed: {error.strerror}",
                "make the folder, or correct path in its [config] table",
            ) from error
        queues: dict[str, dict[str, Any]] = {}
        origin: dict[str, str] = {}
        problems: list[SettingsError] = []
        for file in files:
            try:
                for name, table in _queues_of(file).items():
                    if name in origin:
                        raise SettingsError(
                            f"{clean(str(file))}: queue {clean(name)!r} stands in "
                            f"{clean(origin[name])} too",
                            "keep it in one of the two",
                        )
                    queues[name] = table
                    origin[name] = str(file)
            except SettingsError as error:
                problems.append(error)
        if len(problems) == 1:
            raise problems[0]
        if problems:
            raise SettingsError("\n".join(str(problem) for problem in problems))
        return QueueTable(queues=queues, origin=origin)


def _wanted(name: str) -> bool:
    return name.endswith(".toml") and not name.startswith(".")


def _queues_of(file: Path) -> dict[str, dict[str, Any]]:
    tables = read_toml(file)
    queues = tables.pop("queues", {})
    if tables:
        names = ", ".join(clean(name, 60) for name in tables)
        raise SettingsError(
            f"{clean(str(file))}: {names}: only tables [queues.NAME] stand here",
            "move the rest to the settings file",
        )
    if not isinstance(queues, dict) or not all(isinstance(t, dict) for t in queues.values()):
        raise SettingsError(
            f"{clean(str(file))}: queues holds something else than tables",
            "write [queues.NAME] and the queue's keys below it",
        )
    return queues

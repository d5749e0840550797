"""The walls of the house as Python sees them: what is loaded, not what a linter reads."""

import ast
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
WHEEL_PACKAGES = ["apftui", "core", "plugins", "wrappers"]
STAND_IN = re.compile(r"fake|mock|simulat", re.IGNORECASE)

# In a fresh interpreter, because pytest itself has loaded much of this already. The first module
# after which a forbidden one is there is told; nothing can take that away again.
IMPORT_EACH = """
import importlib, json, sys
names, forbidden = json.load(sys.stdin)
found = {}
for name in names:
    importlib.import_module(name)
    said = {m.partition(".")[0] for m in sys.modules} & set(forbidden)
    if said:
        found[name] = sorted(said)
        forbidden = sorted(set(forbidden) - said)
json.dump(found, sys.stdout)
"""

# The help of every command is built from all its options: what a command declares is loaded.
RUN_EACH_HELP = """
import contextlib, io, json, sys
import click
from apftui.cli import main

def helped(*args):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            main.main([*args, "--help"], prog_name="apftui")
        except SystemExit as end:
            assert not end.code, (args, end.code)
    assert "Usage:" in text.getvalue(), args

def walk(command, *path):
    helped(*path)
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                walk(command.get_command(context, name), *path, name)

walk(main)
loaded = {m.partition(".")[0] for m in sys.modules}
json.dump(sorted(loaded & set(json.load(sys.stdin))), sys.stdout)
"""


def in_fresh_interpreter(code: str, given: object) -> object:
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def modules_below(package: str) -> list[str]:
    """Dotted names of every module; `__main__` is left out, for importing it may run it."""
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / package).rglob("*.py")
        if path.stem != "__main__"
    )


def loaded_by(names: Iterable[str], forbidden: list[str]) -> object:
    names = list(names)
    assert names
    return in_fresh_interpreter(IMPORT_EACH, [names, forbidden])


def test_core_loads_neither_wing_nor_any_outside_library() -> None:
    forbidden = ["apftui", "classad2", "htcondor", "htcondor2", "plugins", "requests", "textual"]
    assert loaded_by(modules_below("core"), forbidden) == {}


def test_a_plugin_loads_its_outside_library_only_where_it_runs() -> None:
    forbidden = ["apftui", "classad2", "htcondor", "htcondor2", "requests", "textual"]
    assert loaded_by(modules_below("plugins"), forbidden) == {}


def test_of_the_product_only_the_console_loads_textual() -> None:
    outside = [name for name in modules_below("apftui") if name.split(".")[1:2] != ["console"]]
    forbidden = ["classad2", "htcondor", "htcondor2", "plugins", "requests", "textual"]
    assert loaded_by(outside, forbidden) == {}


def test_the_console_loads_no_plugin_and_no_sites_library() -> None:
    forbidden = ["classad2", "htcondor", "htcondor2", "plugins", "requests"]
    assert loaded_by(modules_below("apftui/console"), forbidden) == {}


def test_the_help_of_every_command_loads_no_textual_and_no_plugin() -> None:
    forbidden = ["classad2", "htcondor", "htcondor2", "plugins", "requests", "textual"]
    assert in_fresh_interpreter(RUN_EACH_HELP, forbidden) == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel that a user installs, built from this tree without asking a package index."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def files_in(wheel: zipfile.ZipFile) -> list[PurePosixPath]:
    return [PurePosixPath(name) for name in wheel.namelist() if ".dist-info/" not in name]


def test_the_wheel_holds_the_four_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    files = files_in(wheel)
    assert sorted({file.parts[0] for file in files}) == WHEEL_PACKAGES
    for package in ("apftui", "core", "plugins"):
        assert PurePosixPath(package, "py.typed") in files


def test_the_wheel_ships_every_wrapper_file_as_it_stands_here(wheel: zipfile.ZipFile) -> None:
    shipped = {str(file) for file in files_in(wheel) if file.parts[0] == "wrappers"}
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "wrappers").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert shipped == here
    assert any(name.endswith("wrapper.yaml") for name in shipped)
    assert not [name for name in shipped if name.endswith(".py")], "wrappers are data"


def test_the_wheel_has_no_stand_in_under_any_name(wheel: zipfile.ZipFile) -> None:
    """Tests run against the real thing; a stand-in that ships ends in somebody's settings."""
    names = [str(file) for file in files_in(wheel)]
    for file in files_in(wheel):
        if file.suffix == ".py":
            for node in ast.parse(wheel.read(str(file))).body:
                names += [f"{file}: {name}" for name in names_bound_by(node)]
    assert [name for name in names if STAND_IN.search(name)] == []


def names_bound_by(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Import() | ast.ImportFrom():
            return [alias.asname or alias.name for alias in node.names]
        case ast.Assign():
            return [target.id for target in node.targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def test_the_console_script_and_every_entry_point_can_be_loaded(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    targets = re.findall(r"= ([\w.]+):(\w+)", wheel.read(entry_points).decode())
    assert len(targets) > 10
    code = """
import importlib, json, sys
missing = [
    f"{module}:{name}"
    for module, name in json.load(sys.stdin)
    if not hasattr(importlib.import_module(module), name)
]
json.dump(missing, sys.stdout)
"""
    assert in_fresh_interpreter(code, targets) == []

"""Wrappers: what the renderer refuses, and that bash gets every value literally."""

import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import SettingsError
from core.settings.wrappers import Library, write

HOSTILE = (
    'it\'s "q" $(touch x) `touch y` ${HOME} \\ \n {{}} {% if %} @{ a }@ #% [/x]'
    " \x1b]52;c;aGk=\x07\x1b[2J \u202e é ;&|<>*?~!"
)
CONTEXT: dict[str, Any] = {
    "factory": "f",
    "queue": "q",
    "wms_queue": "work",
    "resource_type": None,
    "wms": {"path": "/srv/wms"},
}


def own(folder: Path, template: str, parameters: str = "{}", name: str = "mine") -> Library:
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "wrapper.yaml").write_text(
        f"name: {name}\nsummary: A test's.\nparameters: {parameters}\n"
    )
    (place / "wrapper.sh").write_text(template)
    return Library(folder)


def run(script: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([script], capture_output=True, timeout=20, check=False, cwd=script.parent)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("generic", {"command": ["/bin/sleep", "60"]}),
        ("generic", {"command": [HOSTILE, ""]}),
        ("directory", {}),
        ("directory", {"queue": HOSTILE, "path": "/" + HOSTILE}),
    ],
)
def test_shipped_wrappers_are_clean_bash(
    tmp_path: Path, name: str, parameters: dict[str, Any]
) -> None:
    script = write(Library().render(name, parameters, CONTEXT), tmp_path)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    for command in (["bash", "-n"], [str(shellcheck)]):
        checked = subprocess.run([*command, script], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    text = script.read_bytes()
    assert b"\x1b" not in text
    assert all(word not in text for word in (b"<%", b"#%include", b'#% include "'))


def test_the_command_gets_every_word_literally(tmp_path: Path) -> None:
    words = [HOSTILE, "", "-n", "a  b", "$HOME", "'", "*"]
    show = "import sys; sys.stdout.buffer.write('\\0'.join(sys.argv[1:]).encode())"
    command = [sys.executable, "-c", show, *words]
    script = write(Library().render("generic", {"command": command}, CONTEXT), tmp_path)
    for locale in ("C", "C.UTF-8"):
        done = subprocess.run(
            [script], capture_output=True, cwd=tmp_path, env={"LC_ALL": locale}, check=False
        )
        assert done.returncode == 0
        assert "\0".join(words).encode() in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == [script.name]


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("string", HOSTILE, [HOSTILE]),
        ("string", "", [""]),
        ("path", "/a b/$(x)", ["/a b/$(x)"]),
        ("int", -3, ["-3"]),
        ("float", 0.5, ["0.5"]),
        ("float", 2, ["2.0"]),
        ("bool", True, ["true"]),
    ],
)
def test_every_type_arrives_as_one_word(
    tmp_path: Path, kind: str, value: object, words: list[str]
) -> None:
    library = own(
        tmp_path / "own",
        "#!/bin/bash\na=@{ a }@\nprintf '%s\\0' \"$a\"\n",
        f"{{a: {{type: {kind}, help: h}}}}",
    )
    done = run(write(library.render("mine", {"a": value}, CONTEXT), tmp_path))
    assert done.stdout.decode().split("\0")[:-1] == words


@pytest.mark.parametrize("value", [[], ["one", HOSTILE, ""]])
def test_a_list_arrives_as_its_words(tmp_path: Path, value: list[str]) -> None:
    library = own(
        tmp_path / "own",
        '#!/bin/bash\na=(@{ a }@)\nfor each in "${a[@]}"; do printf \'%s\\0\' "$each"; done\n',
        "{a: {type: strings, help: h}}",
    )
    done = run(write(library.render("mine", {"a": value}, CONTEXT), tmp_path))
    assert done.stdout.decode().split("\0")[:-1] == value


@pytest.mark.parametrize(
    "line",
    [
        'echo "@{ a }@"',
        "# @{ a }@",
        "x='@{ a }@'",
        "a=@{ a }@ b=1",
        "cat <<E\na=@{ a }@\nE",
        "x='\na=@{ a }@\n'",
        "((a=@{ a }@))",
        "eval @{ a }@",
        "<% if true %>a=@{ a }@<% endif %>",
        "a=@{ a | safe }@",
    ],
)
def test_a_value_where_the_shell_would_read_it_is_refused(tmp_path: Path, line: str) -> None:
    library = own(tmp_path, f"#!/bin/bash\n{line}\n", "{a: {type: string, help: h}}")
    with pytest.raises(SettingsError, match=r"mine/wrapper\.sh:[23]: (a value|Filter)"):
        library.render("mine", {"a": "$(touch x)"}, CONTEXT)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("#!/bin/bash\n\n#% if\n", r"wrapper\.sh:3: "),
        ("#!/bin/bash\na=@{ pth }@\n", r"wrapper\.sh:2: unknown parameter pth; did you mean path"),
        ("#!/bin/bash\n#% if nothing\n#% endif\n", r"wrapper\.sh:2: 'nothing' is undefined"),
        ('#!/bin/bash\n#% include "steps/no.sh"\n', r"wrapper\.sh:2: .*steps/no\.sh"),
        ('#!/bin/bash\n#% include "../../etc/passwd"\n', r"wrapper\.sh:2: .*etc/passwd"),
        ("#!/bin/bash\nall=@{ all }@\n", r"wrapper\.sh:2: all is a list; write it as all=\(@"),
        (
            "#!/bin/bash\n<% for x in path.__class__.mro() %><% endfor %>\n",
            r"wrapper\.sh:2: For is neither an include nor a condition",
        ),
    ],
)
def test_a_broken_template_is_told_with_its_place(tmp_path: Path, template: str, says: str) -> None:
    library = own(
        tmp_path, template, "{path: {type: path, help: h}, all: {type: strings, help: h}}"
    )
    with pytest.raises(SettingsError, match=says):
        library.render("mine", {"path": "/x"}, CONTEXT)


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("generc", {}, "there is no wrapper generc; did you mean generic"),
        ("../x", {}, r"there is no wrapper \.\./x"),
        (
            "generic",
            {},
            "wrapper generic needs its parameter command: .*wrapper_parameters.command",
        ),
        ("generic", {"comand": ["x"]}, "no parameter comand; did you mean command"),
        ("generic", {"command": "sleep 60"}, "wrapper generic: command: 'sleep 60' is no strings"),
        ("generic", {"command": ["a\0b"]}, "command: .* NUL"),
        ("generic", {"command": ["a\ud800b"]}, "command: .*(Unicode|unicode)"),
        ("generic", {"command": ["a"], "grace": "20"}, "grace: '20' is no int"),
        ("generic", {"command": ["a"], "grace": True}, "grace: True is no int"),
        ("directory", {"path": "here"}, "path: 'here' is no path: it must be absolute"),
    ],
)
def test_wrong_parameters_are_told(name: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Library().render(name, parameters, CONTEXT)


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ("name: [", r"cannot read .*mine/wrapper\.yaml"),
        ("name: other\nsummary: s\n", "name is other; write mine"),
        ("name: mine\nsummary: s\nparameters: {a: {type: text, help: h}}", r"parameters\.a\.type"),
        ("name: mine\nsummary: s\nparameters: {a: {type: int, help: h, default: x}}", "'x' is no"),
        ("name: mine\nsummary: s\nparameters: {a b: {type: int, help: h}}", "parameters.*a b"),
        ("name: mine\nsummary: s\nparams: {}", "params"),
        ("name: mine\nsummary: 2026-02-30\n", r"cannot read .*mine/wrapper\.yaml"),
        (f"name: mine\nsummary: {'9' * 5000}\n", r"cannot read .*mine/wrapper\.yaml"),
        (
            # A hundred thousand million words, if they were written out.
            "name: mine\nsummary: s\nparameters: {a: {type: int, help: h, default: [&a [x]"
            + "".join(f", &{b} [{', '.join(['*' + a] * 10)}]" for a, b in pairwise("abcdefghijkl"))
            + "]}}\n",
            "parameters.* is no int",
        ),
    ],
)
def test_a_broken_manifest_is_told(tmp_path: Path, manifest: str, says: str) -> None:
    library = own(tmp_path, "#!/bin/bash\n")
    (tmp_path / "mine" / "wrapper.yaml").write_text(manifest)
    with pytest.raises(SettingsError, match=says):
        library.manifest("mine")


def test_defaults_come_from_the_wms_and_its_queue_unless_given() -> None:
    text = Library().render("directory", {}, CONTEXT).text
    assert "\npath=/srv/wms\nqueue=work\nmax_payloads=1\n" in text
    text = Library().render("directory", {"queue": "x", "max_payloads": 0}, CONTEXT).text
    assert "\nqueue=x\nmax_payloads=0\n" in text
    with pytest.raises(SettingsError, match="needs its parameter path"):
        Library().render("directory", {}, {**CONTEXT, "wms": {}})


def test_same_input_same_bytes_and_another_name_for_other_bytes() -> None:
    first = Library().render("directory", {}, CONTEXT)
    again = Library().render("directory", {}, {**CONTEXT, "queue": "another", "factory": "g"})
    other = Library().render("directory", {"grace": 21}, CONTEXT)
    assert first == again
    assert first.file_name == f"directory-{first.sha256[:16]}.sh"
    assert other.file_name != first.file_name


def test_the_operators_wrapper_comes_first_and_uses_the_shipped_steps(tmp_path: Path) -> None:
    library = own(
        tmp_path / "own",
        '#!/bin/bash\n#% include "steps/report_node.sh"\ntell mine\n',
        name="generic",
    )
    assert library.names() == ["directory", "generic"]
    done = run(write(library.render("generic", {}, CONTEXT), tmp_path))
    assert done.stdout.endswith(b" mine\n")


def test_a_script_is_written_once_and_mended_when_it_was_touched(tmp_path: Path) -> None:
    rendered = Library().render("directory", {}, CONTEXT)
    path = write(rendered, tmp_path / "wrappers")
    first = path.stat()
    assert path.name == rendered.file_name
    assert first.st_mode & 0o777 == 0o755
    assert write(rendered, tmp_path / "wrappers").stat().st_ino == first.st_ino
    path.write_text("rm -rf /")
    assert write(rendered, tmp_path / "wrappers").read_text() == rendered.text
    path.chmod(0o600)
    write(rendered, tmp_path / "wrappers")
    assert path.stat().st_mode & 0o777 == 0o755
    assert list(path.parent.iterdir()) == [path]


def test_a_draft_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    rendered = Library().render("directory", {}, CONTEXT)
    (tmp_path / rendered.file_name / "in the way").mkdir(parents=True)
    with pytest.raises(OSError):
        write(rendered, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [rendered.file_name]


def generic(tmp_path: Path, body: str, **parameters: Any) -> subprocess.Popen[str]:
    command = ["/bin/bash", "-c", body]
    rendered = Library().render("generic", {"command": command, **parameters}, CONTEXT)
    return subprocess.Popen(
        [write(rendered, tmp_path)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(seen)


def test_the_node_is_reported_and_the_exit_code_passed_on(tmp_path: Path) -> None:
    done = generic(tmp_path, "exit 37")
    out, _ = done.communicate(timeout=20)
    assert done.returncode == 37
    for word in ("pilot: ", "wrapper: sha256 ", "node: ", "hardware: ", "batch job: "):
        assert word in out
    assert generic(tmp_path, "kill -KILL $$").wait(20) == 137


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1"])
def test_a_signal_reaches_the_command_which_may_end_as_it_likes(tmp_path: Path, name: str) -> None:
    body = f"trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.05; done"
    pilot = generic(tmp_path, body)
    wait_for(pilot, "ready")
    pilot.send_signal(signal.Signals[f"SIG{name}"])
    wait_for(pilot, f"got {name}")
    assert pilot.wait(20) == 9


def test_a_command_that_does_not_listen_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pilot = generic(tmp_path, "trap '' TERM; sleep 300 & echo ready $!; wait; sleep 300", grace=1)
    sleeper = int(wait_for(pilot, "ready").split()[-1])
    pilot.terminate()
    assert pilot.wait(20) == 137
    stat = Path(f"/proc/{sleeper}/stat")
    assert not stat.exists() or ") Z " in stat.read_text()

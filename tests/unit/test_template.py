"""Where the lines of a script come from, and what bash says of them without running them."""

from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from core.model.errors import SettingsError
from core.run.syntax import syntax_errors
from core.settings.manifest import Manifest, Parameter
from core.settings.template import Flaw, Origin, Source, Template
from core.settings.wrappers import Library

MANIFEST = Manifest(
    name="mine",
    summary="s",
    parameters={
        "a": Parameter(type="string", help="h"),
        "on": Parameter(type="bool", help="h", default=False),
        "all": Parameter(type="strings", help="h", default=[]),
    },
)


def template(text: str, **steps: str) -> Template:
    files = {f"steps/{name}.sh": Source(step, f"/d/{name}.sh") for name, step in steps.items()}
    return Template({"wrapper.sh": Source(text, "/d/wrapper.sh"), **files}, MANIFEST)


VALUES: Mapping[str, object] = {"a": "x\ny", "on": False, "all": ["1", "2"]}


def test_every_line_of_a_script_is_traced_to_its_file_and_line() -> None:
    made = template(
        "#!/bin/bash\na=@{ a }@\n#% if on\nnever\n#% endif\n#% include 'steps/one.sh'\n"
        "<# a\ncomment #>last\n<% if not on %>x<% endif %>\nend",
        one="first\n\nthird\n",
    )
    text = made.render(VALUES)
    origins = made.outline(VALUES).origins
    lines = text.split("\n")
    assert len(lines) == len(origins)
    assert dict(zip(lines, origins, strict=True)) == {
        "#!/bin/bash": Origin("wrapper.sh", 1),
        "a=$'x\\x0ay'": Origin("wrapper.sh", 2),
        "first": Origin("steps/one.sh", 1),
        "": Origin("steps/one.sh", 2),
        "third": Origin("steps/one.sh", 3),
        "last": Origin("wrapper.sh", 8),
        "x": Origin("wrapper.sh", 9),
        "end": Origin("wrapper.sh", 10),
    }


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("generic", {"command": ["x", "a\nb"]}), ("directory", {"path": "/x"})],
)
def test_shipped_wrappers_are_traced_line_by_line(name: str, parameters: dict[str, object]) -> None:
    wrapper = Library().live(name)
    values = wrapper.manifest.values(parameters, {"wms_queue": "w"})
    lines = wrapper.rendered(values).text.split("\n")
    origins = wrapper.template.outline(values).origins
    assert len(lines) == len(origins)
    for line, origin in zip(lines[:-1], origins, strict=False):  # after the last line is nothing
        source = wrapper.content.files[origin.file].text.split("\n")[origin.line - 1]
        assert line == source or "@{" in source


@pytest.mark.parametrize(
    "condition",
    [
        "#% if on\nif true; then\n#% endif\n",
        "<% if on %>if true; then<% else %>true<% endif %>\n",
        "true <% if on %>'<% endif %>\n",
    ],
)
def test_scripts_that_differ_in_values_alone_have_the_same_outline(condition: str) -> None:
    made = template(f"#!/bin/bash\na=@{{ a }}@\n{condition}")
    one, other = dict(VALUES), {**VALUES, "a": "$(other) `x`; if"}
    assert made.outline(one) == made.outline(other)
    assert made.outline(one) != made.outline({**one, "on": True})


def _rendered(text: str) -> None:
    Library().draft("generic", "shipped", text, None)
    template(text).render(VALUES)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("#!/bin/bash\n\x1b]0;x\x07\n", 2, r"the character \\x1b"),
        ("#!/bin/bash\r\n", 1, r"the character \\x0d"),
        ("#!/bin/bash\n\n# \u202e\n", 3, r"the character \\u202e"),
        ("#!/bin/bash\n# a\u2028b\n", 2, r"the character \\u2028"),
        ("#!/bin/bash\necho\u00a0hello\n", 2, r"the character \\xa0"),
        ("#!/bin/bash\na=\0\n", 2, r"the character \\x00"),
        ("#!/bin/bash\n\n#% if all < 1\n#% endif\n", 3, "list"),
        ('#!/bin/bash\n#% import "steps/one.sh" as one\n', 2, "neither an include nor"),
        ("#!/bin/bash\n#% extends 'steps/one.sh'\n", 2, "neither an include nor"),
        ("#!/bin/bash\n#% for i in all\n#% endfor\n", 2, "For is neither an include nor"),
        ("#!/bin/bash\n\n#% if 'a' * 9 ** 9\n#% endif\n", 3, "Mul is neither"),
        ("#!/bin/bash\n#% if '%99d' % 1\n#% endif\n", 2, "Mod is neither"),
        ("#!/bin/bash\n#% if a | center(9)\n#% endif\n", 2, "Filter is neither"),
        ("<% filter replace('X', a) %>X<% endfilter %>\n", 1, "FilterBlock is neither"),
        ("<% set x = a %>\n", 1, "Assign is neither"),
        ("#% if range(9)\n#% endif\n", 1, "Call is neither"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(Flaw, match=says) as caught:
        _rendered(text)
    assert (caught.value.file, caught.value.line) == ("wrapper.sh", line)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("#% include all", "must say which file"),
        ("#% include ['steps/report_node.sh']", "must say which file"),
        ("#% include './steps/report_node.sh'", "no file that can be included"),
        ("#% include '../../etc/passwd'", "no file that can be included"),
        ("#% include '/etc/passwd'", "no file that can be included"),
        ("#% include 'steps/none.sh' ignore missing", "no file steps/none.sh to include"),
        ("#% include 'wrapper.sh'", "no file that can be included"),
        ("#% include 'wrapper.yaml'", "no file that can be included"),
    ],
)
def test_what_cannot_be_included_is_refused(line: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        Library().draft("generic", "shipped", f"#!/bin/bash\n{line}\n", None)
    assert isinstance(caught.value, Flaw)
    assert caught.value.line == 2


def errors(script: str) -> list[tuple[int, str]]:
    async def ask() -> list[tuple[int, str]]:
        return [(said.line, said.text) for said in await syntax_errors(script)]

    return anyio.run(ask)


def test_bash_says_what_it_cannot_read() -> None:
    assert errors("#!/bin/bash\necho ${x#é}\n") == []
    assert errors("true\nfi\n") == [(2, "syntax error near unexpected token `fi'")]
    assert errors("a\nb\nif x; then\n") == [(4, "syntax error: unexpected end of file")]
    ((line, says),) = errors("cat <<E\nno end\n")
    assert (line, "here-document" in says) == (2, True)


def test_what_bash_reads_it_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    startup = tmp_path / "startup"
    startup.write_text(f"touch {ran}\n")
    for name in ("BASH_ENV", "ENV"):
        monkeypatch.setenv(name, str(startup))
    monkeypatch.setenv("SHELLOPTS", "xtrace")
    monkeypatch.setenv("BASH_FUNC_true%%", f"() {{ touch {ran}; }}")
    evil = f"true\n$(touch {ran})\n`touch {ran}`\nx=$(touch {ran})\n: <(touch {ran})\ntouch {ran}\n"
    assert errors(evil) == []
    assert not ran.exists()

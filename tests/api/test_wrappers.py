"""Wrappers of a running factory: tried, published, rolled back; and what pilots then start with."""

import json
import shutil
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core.api.models import Action
from core.api.wrappers import CheckResult, WrapperStatus, WrapperText
from tests.running import Running, Site, local_settings, sleepers
from tests.typed import apftui

SETTINGS = local_settings(
    sleepers("S", 1) + "[queues.Q]\n[queues.R]\nwrapper_parameters = { grace = 5 }\n"
)
TRICKS = [
    *("$(touch evil)", "`touch evil`", "'\"", "; touch evil", "a\nb", "@{ path }@", "#% if", "é"),
    *("\x1b]0;x\x07", "\u202e", "${HOME}", "*", "", "-n", "\\", "<% x %>"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("wrappers"), SETTINGS) as made:
        yield made


@pytest.fixture(scope="module")
def factory(site: Site) -> Running:
    running = site.start()
    running.until(lambda _: running.queue("S").running == 1)
    return running


def status(factory: Running, name: str) -> WrapperStatus:
    code, answer = factory.call("GET", "/v1/wrappers")
    assert code == 200, answer
    found = [WrapperStatus.model_validate_json(json.dumps(one)) for one in answer]
    return next(w for w in found if w.name == name)


def text(factory: Running, name: str, version: str = "") -> WrapperText:
    return factory.get("/v1/wrapper", WrapperText, name=name, version=version)


def check(factory: Running, name: str, **draft: Any) -> CheckResult:
    code, answer = factory.call("POST", "/v1/check", {"name": name, **draft})
    assert code == 200, answer
    return CheckResult.model_validate_json(json.dumps(answer))


def publish(factory: Running, name: str, **draft: Any) -> tuple[int, Any]:
    body = {"name": name, "message": "a test's", "base": status(factory, name).version, **draft}
    return factory.call("POST", "/v1/publish", body, deadline=30)


def actions(factory: Running) -> list[Action]:
    code, answer = factory.call("GET", "/v1/actions")
    assert code == 200
    return [Action.model_validate(a) for a in answer]


def marked(factory: Running, name: str, more: str = "") -> str:
    """Return the template that counts with one line more."""
    return text(factory, name).template + f"# {uuid.uuid4().hex}{more}\n"


def test_new_pilots_get_the_new_one_and_those_that_run_keep_theirs(factory: Running) -> None:
    first = factory.until(lambda _: factory.queue("S").running == 1)
    before = factory.queue("S").wrapper_sha
    others = factory.queue("Q").wrapper_sha
    cycle = first.factory.cycle
    assert hashes(factory, "S") == [before]

    code, done = publish(factory, "generic", template=marked(factory, "generic"), message="more")
    assert (code, done["state"], done["why"]) == (200, "applied", "more")
    version = status(factory, "generic").version
    queue = factory.queue("S")
    assert (queue.wrapper, queue.wrapper_version) == ("generic", version)
    assert queue.wrapper_sha != before
    assert factory.queue("Q").wrapper_sha == others
    assert actions(factory)[0].what == f"publish wrapper generic {version}"

    # The one that runs goes on with its own, and another is not sent for it.
    factory.until(lambda s: s.factory.cycle > cycle + 2)
    assert hashes(factory, "S") == [before]
    assert factory.queue("S").running == 1
    assert factory.change("S", "sched.max-to-run.maximum", 2)[0] == 200
    factory.until(lambda _: len(hashes(factory, "S")) == 2)
    assert hashes(factory, "S") == [queue.wrapper_sha, before]
    assert factory.change("S", "sched.max-to-run.maximum", None)[0] == 200

    # Back to what was: the old hash again.
    code, done = publish(factory, "generic", version="shipped", message="breaks at TRIUMF")
    assert code == 200, done
    assert factory.queue("S").wrapper_sha == before
    assert factory.queue("S").wrapper_version == str(int(version) + 1)
    versions = status(factory, "generic").versions
    assert [v.message for v in versions if v.by] == ["breaks at TRIUMF", "more"]


def hashes(factory: Running, queue: str) -> list[str]:
    """Return the APFWrapper of each submission, newest first."""
    confirmed = [i for i in factory.intents() if i.queue == queue and i.state == "confirmed"]
    return [json.loads(i.description)["wrapper"] for i in confirmed]


def test_the_script_runs_on_the_node_under_the_hash_that_was_told(factory: Running) -> None:
    code, done = publish(
        factory, "directory", template=marked(factory, "directory") + 'tell "never printed"\n'
    )
    assert code == 200, done
    sha = factory.queue("Q").wrapper_sha
    factory.site.payload("Q", "one")
    wait_for(factory.site, f"wrapper: sha256 {sha}")


def wait_for(site: Site, says: str, seconds: float = 20) -> None:
    """Wait until pilots have printed a text."""
    end = time.monotonic() + seconds
    while says not in (told := printed(site)):
        assert time.monotonic() < end, told
        time.sleep(0.1)


def printed(site: Site) -> str:
    """Return what all pilots have printed."""
    logs = site.pilots.rglob("out")
    return "".join(path.read_text(errors="replace") for path in logs)


@pytest.mark.parametrize(
    ("more", "line", "says"),
    [
        ("fi\n", 1, "syntax error near unexpected token `fi'"),
        ("\nif true; then\n", 2, "unexpected end of file"),
        ('\necho "@{ queue }@"\n', 2, "where the shell could evaluate it"),
        ("\n\n#% if nothing\n#% endif\n", 3, "'nothing' is undefined"),
        ("#% if\n", 1, "Expected an expression"),
        ('#% include "steps/no.sh"\n', 1, "no file steps/no.sh to include"),
        ("\n# \x1b[2J\n", 2, r"\x1b does not show"),
        # Only the second queue gets it, in the same line.
        ("\ntrue <% if grace == 5 %>'<% endif %>\n", 2, "unexpected EOF"),
    ],
)
def test_what_does_not_render_or_bash_cannot_read_is_not_published(
    factory: Running, more: str, line: int, says: str
) -> None:
    base = text(factory, "directory").template
    line += base.count("\n")
    before, version = len(actions(factory)), status(factory, "directory").version
    (fault,) = check(factory, "directory", template=base + more).faults
    assert (fault.file, fault.queues) == ("wrapper.sh", ())
    assert fault.line in (line, line + 1)  # the end of a file is the line after its last
    assert says in fault.text
    code, answer = publish(factory, "directory", template=base + more)
    assert code == 400
    assert "directory is not published:\n" in answer["error"]
    assert f"wrapper.sh:{fault.line}: " in answer["error"]
    assert status(factory, "directory").version == version
    assert len(actions(factory)) == before


def test_the_line_of_an_included_file_is_told_as_its_own(factory: Running, site: Site) -> None:
    base = text(factory, "directory").template.replace("run_payload.sh", "broken.sh")
    folder = site.folder / "own"
    (folder / "steps").mkdir(parents=True)
    (folder / "steps" / "broken.sh").write_text("a=1\ndone\n")
    site.write(SETTINGS.replace("cycle = 0.2", f'cycle = 0.2\nwrappers = "{folder}"'))
    try:
        assert factory.call("POST", "/v1/reload")[0] == 200
        (fault,) = check(factory, "directory", template=base).faults
        assert (fault.file, fault.line) == ("steps/broken.sh", 2)
        assert "done" in fault.text
    finally:
        site.write(SETTINGS)
        assert factory.call("POST", "/v1/reload")[0] == 200


def test_a_script_that_bash_is_not_to_run_is_not_published(factory: Running) -> None:
    template = text(factory, "directory").template.replace("#!/bin/bash", "#!/usr/bin/python3")
    (fault,) = check(factory, "directory", template=template).faults
    assert (fault.line, fault.cure) == (1, "write #!/bin/bash")


def test_a_queue_that_could_not_use_it_is_named(factory: Running) -> None:
    now = text(factory, "directory")
    manifest = now.manifest.replace("  grace:", "  grease:")
    template = now.template.replace("grace=@{ grace }@", "grace=@{ grease }@")
    found = check(factory, "directory", template=template, manifest=manifest)
    (fault,) = found.faults
    assert fault.queues == ("R",)
    assert "no parameter grace; it has: grease" in str(fault)
    required = (
        now.manifest + "  site:\n    type: string\n    required: true\n    help: Which site.\n"
    )
    (fault,) = check(factory, "directory", manifest=required).faults
    assert fault.queues == ("Q", "R")
    assert "needs its parameter site: Which site." in str(fault)
    code, answer = publish(factory, "directory", manifest=required)
    assert code == 400
    assert "queue Q: wrapper directory needs its parameter site" in answer["error"]


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ("name: [", "wrapper.yaml"),
        ("name: other\nsummary: s\n", "write directory"),
        ("name: directory\nsummary: s\nx: 1\n", "x: "),
    ],
)
def test_a_broken_manifest_is_told(factory: Running, manifest: str, says: str) -> None:
    (fault,) = check(factory, "directory", manifest=manifest).faults
    assert says in str(fault)
    assert publish(factory, "directory", manifest=manifest)[0] == 400


def test_checking_runs_nothing(factory: Running, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    template = marked(factory, "directory", f"\n$(touch {ran})\ntouch {ran}")
    assert check(factory, "directory", template=template).faults == ()
    draft = {"name": "directory", "template": template}
    code, script = factory.call("POST", "/v1/render", {**draft, "queue": "Q"})
    assert code == 200
    assert f"\n$(touch {ran})\n" in script["text"]
    assert not ran.exists()


def test_two_publish_at_once_and_one_is_told_to_look(factory: Running) -> None:
    base = status(factory, "generic").version
    drafts = [marked(factory, "generic", f" of {who}") for who in ("ann", "bob")]
    body = {"name": "generic", "message": "at once", "base": base}
    with ThreadPoolExecutor(2) as both:
        answers = list(
            both.map(lambda t: factory.call("POST", "/v1/publish", {**body, "template": t}), drafts)
        )
    assert sorted(code for code, _ in answers) == [200, 409]
    (_, refused) = next(a for a in answers if a[0] == 409)
    assert "published it (at once)" in refused["error"]
    won = drafts[[code for code, _ in answers].index(200)].splitlines()[-1]
    assert f"+{won}" in refused["diff"]
    assert text(factory, "generic").template.splitlines()[-1] == won


def test_what_counts_already_is_not_published_again(factory: Running) -> None:
    code, answer = publish(factory, "generic", template=text(factory, "generic").template)
    assert code == 400
    assert "nothing to publish" in answer["error"]


@pytest.mark.parametrize(
    "draft",
    [
        {"name": "../generic"},
        {"name": "generic", "version": "../../x"},
        {"name": "generic", "version": "4711"},
        {"name": "no-such"},
        {"name": "no-such", "template": "#!/bin/bash\n"},
        {"name": "generic", "message": " "},
        {"name": "generic", "template": "x" * 300_000},
    ],
)
def test_what_cannot_be_a_draft_is_refused(factory: Running, draft: dict[str, Any]) -> None:
    before = status(factory, "generic").version
    code, answer = factory.call(
        "POST", "/v1/publish", {"message": "m", "base": "", "template": "#!/bin/bash\n", **draft}
    )
    assert code in (400, 404, 409), answer
    assert status(factory, "generic").version == before
    assert not (factory.site.state / "published" / "no-such").exists()


def test_a_new_wrapper_needs_a_manifest_and_is_then_one_of_all(factory: Running) -> None:
    draft = {
        "template": "#!/bin/bash\na=@{ a }@\necho $a\n",
        "manifest": "name: fresh\nsummary: New.\nparameters: {a: {type: int, help: h}}\n",
    }
    body = {"name": "fresh", "message": "first", "base": "", **draft}
    code, answer = factory.call("POST", "/v1/publish", body)
    assert code == 200, answer
    assert status(factory, "fresh").version == "1"
    code, script = factory.call("POST", "/v1/render", {"name": "fresh"})
    assert script["text"] == "#!/bin/bash\na=1\necho $a\n"


def test_a_pause_takes_no_file_of_the_folder_in(factory: Running, site: Site) -> None:
    folder = site.folder / "mine" / "generic"
    folder.mkdir(parents=True)
    (folder / "wrapper.yaml").write_text("name: [\n")
    settings = SETTINGS.replace("cycle = 0.2", f'cycle = 0.2\nwrappers = "{folder.parent}"')
    site.write(
        settings.replace('wrapper = "generic"', 'wrapper = "directory"').replace(
            'command = ["sleep", "600"]', 'path = "/x"'
        )
    )
    assert factory.call("POST", "/v1/reload")[0] == 200
    try:
        before = factory.queue("S").wrapper_sha
        assert factory.change("S", "paused", True)[0] == 200
        assert factory.queue("S").wrapper_sha == before
        assert factory.change("S", "paused", None)[0] == 200
    finally:
        site.write(SETTINGS)
        assert factory.call("POST", "/v1/reload")[0] == 200


def test_values_arrive_as_they_are(factory: Running) -> None:
    """Through a published template, in what a pilot's command prints on its node."""
    command = ["/usr/bin/printf", "<%s>\\n", *TRICKS]
    assert factory.change("S", "wrapper_parameters.command", command)[0] == 200
    try:
        code, answer = publish(factory, "generic", template=marked(factory, "generic"))
        assert code == 200, answer
        assert factory.change("S", "sched.max-to-run.maximum", 9)[0] == 200
        wait_for(factory.site, "".join(f"<{trick}>\n" for trick in TRICKS))
        assert not list(factory.site.folder.rglob("evil"))
    finally:
        assert factory.change("S", "sched.max-to-run.maximum", None)[0] == 200
        assert factory.change("S", "wrapper_parameters.command", None)[0] == 200


def test_typed_on_the_command_line(factory: Running, tmp_path: Path) -> None:
    config = ("--config", factory.site.config)
    listed = apftui("wrappers", "list", *config, "--json").json
    assert {w["name"] for w in listed} >= {"directory", "generic"}
    shown = apftui("wrappers", "show", "generic", "--template", *config).out
    assert shown == text(factory, "generic").template
    file = tmp_path / "mine.sh"
    file.write_text(shown + "# typed\n")
    tried = apftui("wrappers", "render", "S", "--file", file, *config)
    assert tried.out.endswith("# typed\n")
    done = apftui("wrappers", "publish", "generic", file, "--message", "typed", *config)
    assert done.code == 0, done.err
    version = status(factory, "generic").version
    assert done.out == f"publish wrapper generic {version}: applied; 1 queue uses it\n"
    assert apftui("wrappers", "render", "S", *config).out == tried.out
    file.write_text(shown + "\nfi\n")
    bad = apftui("wrappers", "publish", "generic", file, "--message", "typed", *config)
    assert bad.code == 1
    assert f"apftui: wrapper.sh:{shown.count(chr(10)) + 2}: syntax error" in bad.err
    for words, code, says in (
        (("generic", file, "--message", "x" * 501), 2, "501 characters: say it in 500"),
        (("../x", file, "--message", "m"), 1, "name: String should match"),
    ):
        refused = apftui("wrappers", "publish", *words, *config)
        assert (refused.code, says in refused.err) == (code, True), refused.err
    late = ("--version", "shipped", "--message", "late", "--base", "shipped")
    stale = apftui("wrappers", "publish", "generic", *late, *config)
    assert stale.code == 1
    assert "published it (typed)" in stale.err
    told = apftui("wrappers", "show", "generic", *config).out
    assert "typed" in told
    assert "command" in told
    row = next(r for r in apftui("queue", "list", *config).out.splitlines() if r.startswith("S "))
    assert f"generic@{version}" in row
    assert factory.queue("S").wrapper_sha in apftui("queue", "show", "S", *config).out


def test_offline_from_disk(factory: Running, tmp_path: Path) -> None:
    """A copy of the state folder stands in for a factory that is down."""
    code, _ = publish(factory, "generic", template=marked(factory, "generic"))
    assert code == 200
    shutil.copytree(factory.site.state / "published", tmp_path / "state" / "published")
    config = tmp_path / "factory.toml"
    config.write_text(SETTINGS)
    named = ("--config", config)
    listed = apftui("wrappers", "list", "--json", *named).json
    assert listed == [json.loads(s) for s in offline(factory)]
    assert apftui("wrappers", "render", "S", *named).out == script(factory, "S")
    assert apftui("check", *named).code == 0
    broken = tmp_path / "state" / "published" / "generic" / "1" / "wrapper.sh"
    broken.chmod(0o644)
    broken.write_text("evil")
    told = apftui("check", *named)
    assert told.code == 1
    assert "published/generic/1 is damaged" in told.err


def offline(factory: Running) -> list[str]:
    code, answer = factory.call("GET", "/v1/wrappers")
    assert code == 200
    return [json.dumps(one) for one in answer]


def script(factory: Running, queue: str) -> str:
    code, answer = factory.call("POST", "/v1/render", {"name": "generic", "queue": queue})
    assert code == 200
    told: str = answer["text"]
    return told

"""The WMS `directory`: its counts, and its payloads as the wrapper `directory` runs them."""

import grp
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import ValidationError

from core.model.answers import WmsCount, WmsQuery
from core.model.errors import SourceError
from core.settings.wrappers import Library, write
from plugins.wms.directory import DirectoryParams, DirectoryWms, create

HOSTILE = 'it\'s "q" $(touch x) `touch y` \\ \n {{}} [~x] \x1b]52;c;aGk=\x07\x1b[2J ,again,'
T = TypeVar("T")


class Site:
    """A WMS folder and the pilots that work on it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "wms"
        self.node = path / "node"
        self.node.mkdir()
        self.folder = create(self.path, "q")
        self.wms = DirectoryWms(DirectoryParams(path=self.path))
        self.pilots: list[subprocess.Popen[str]] = []

    def payload(self, body: str, name: str = "job", queue: str = "q") -> Path:
        new = self.path / queue / "new"
        draft = new / ".draft"
        draft.write_text(f"#!/bin/bash\n{body}\n")
        draft.chmod(0o755)
        return draft.rename(new / name)

    def pilot(
        self, number: int = 0, env: dict[str, str] | None = None, **parameters: Any
    ) -> subprocess.Popen[str]:
        context = {"wms": {"path": str(self.path)}, "wms_queue": "q"}
        script = write(Library().render("directory", parameters, context), self.node.parent)
        pilot = subprocess.Popen(
            [script],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.node,
            env={**os.environ, "APF_PILOT": f"pilot.{number}", **(env or {})},
        )
        self.pilots.append(pilot)
        return pilot

    def run(self, number: int = 0, **parameters: Any) -> tuple[int, str]:
        pilot = self.pilot(number, **parameters)
        out, _ = pilot.communicate(timeout=30)
        return pilot.returncode, out

    def count(self, queue: str = "q") -> WmsCount:
        return self.wms.poll([WmsQuery(queue=queue)]).counts[0]

    def names(self, folder: str) -> list[str]:
        return sorted(p.name for p in (self.folder / folder).iterdir())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    for pilot in site.pilots:
        if pilot.poll() is None:
            pilot.terminate()
            pilot.wait()


def until(found: Callable[[], T], seconds: float = 15) -> T:
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return value


def test_waiting_and_claimed_payloads_are_counted_and_nothing_is_changed(site: Site) -> None:
    assert site.count() == WmsCount(
        query=WmsQuery(queue="q"), activated=0, running=0, status="online"
    )
    for name in ("a", "b", "c", HOSTILE):
        site.payload("true", name)
    (site.folder / "new" / "b").rename(site.folder / "running" / "pilot.0,b")
    (site.folder / "new" / ".half").write_text("")
    count = site.count()
    assert (count.activated, count.running, count.problem) == (3, 1, None)
    assert len(site.names("new")) == 4


def test_what_cannot_be_claimed_is_named_and_not_counted(site: Site) -> None:
    site.payload("true", "good")
    (site.folder / "new" / "plain\x1b[2J").write_text("")
    count = site.count()
    assert count.activated == 1
    assert count.problem is not None
    assert r"plain\x1b[2J; a payload is an executable file (chmod +x)" in count.problem
    (site.folder / "new" / "link").symlink_to("good")
    (site.folder / "new" / "folder").mkdir()
    os.mkfifo(site.folder / "new" / "pipe", 0o777)
    (site.folder / "new" / ("again," + "n" * 181)).touch(0o755)
    site.payload("true", "again," + "n" * 180)
    count = site.count()
    assert count.activated == 2
    assert " and 4 more" in str(count.problem)
    assert site.run(max_payloads=0)[0] == 0
    assert site.names("done") == ["pilot.0,again," + "n" * 180, "pilot.0,good"]


@pytest.mark.parametrize("name", ["Q", "q1", "qq"])
def test_an_unknown_queue_is_unknown_and_not_empty(site: Site, name: str) -> None:
    count = site.count(name)
    assert (count.activated, count.running, count.status) == (None, None, None)
    assert count.problem is not None
    assert count.problem.startswith(f"unknown queue {name}; ")
    assert ("did you mean q?" in count.problem) == (name != "Q")
    assert ("mkdir -p -m 770" in count.problem) == (name == "Q")


@pytest.mark.parametrize("name", ["", ".", "..", "../wms/q", "/etc", "a\0b", ".q", "q/", HOSTILE])
def test_a_queue_that_is_no_folders_name_is_unknown(site: Site, name: str) -> None:
    count = site.count(name)
    assert count.activated is None
    assert count.problem is not None
    assert count.problem.isprintable()


def test_a_directory_has_no_resource_types_and_no_labels(site: Site) -> None:
    wanted = [WmsQuery(queue="q", resource_type="MCORE"), WmsQuery(queue="q", labels=("x",))]
    for count in site.wms.poll(wanted).counts:
        assert count.activated is None
        assert "no resource types and no labels" in str(count.problem)


@pytest.mark.parametrize("name", ["new", "running", "done", "failed"])
def test_a_folder_that_is_missing_or_open_to_all_is_named_with_its_cure(
    site: Site, name: str
) -> None:
    folder = site.folder / name
    folder.chmod(0o777)
    assert f"chmod o-w {folder}" in str(site.count().problem)
    assert site.count().activated is None
    folder.rmdir()
    assert f"there is no folder {folder}; type mkdir -m 770" in str(site.count().problem)
    assert site.count().activated is None
    assert site.wms.upkeep() == []


def test_a_wms_folder_that_is_missing_or_open_to_all_fails_the_source(site: Site) -> None:
    site.path.chmod(0o777)
    with pytest.raises(SourceError, match=f"chmod o-w {site.path}"):
        site.count()
    shutil.rmtree(site.path)
    with pytest.raises(SourceError, match=f"there is no folder {site.path}; make it: mkdir"):
        site.count()
    with pytest.raises(ValidationError, match="is not absolute"):
        DirectoryParams(path=Path("here"))


def test_folders_are_made_for_owner_and_group_only_and_left_alone(tmp_path: Path) -> None:
    folder = create(tmp_path / "wms", "q")
    (folder / "new").chmod(0o700)
    group = grp.getgrgid(os.getgid()).gr_name
    assert create(tmp_path / "wms", "q") == folder
    shared = create(tmp_path / "wms", "shared", group)
    modes = {p: p.stat().st_mode & 0o7777 for p in (folder, *folder.iterdir())}
    assert modes.pop(folder / "new") == 0o700
    assert set(modes.values()) == {0o770}
    assert {p.stat().st_mode & 0o7777 for p in (shared, *shared.iterdir())} == {0o2770}


def test_ten_thousand_payloads_are_counted_quickly(site: Site) -> None:
    for i in range(10_000):
        os.close(os.open(site.folder / "new" / f"{i:05}", os.O_CREAT, 0o755))
    started = time.monotonic()
    assert site.count().activated == 10_000
    assert time.monotonic() - started < 1


def test_a_payload_runs_in_a_scratch_folder_of_its_own(site: Site) -> None:
    site.payload("pwd; ls -A; echo x > file", "first")
    site.payload("pwd; ls -A; exit 5", "second")
    site.payload("pwd", "third")
    code, out = site.run(max_payloads=2)
    assert code == 5
    assert out.count(f"{site.node}/payloads.") == 2
    assert "payload second: exit code 5" in out
    assert "payloads run: 2, exit code 5" in out
    assert [site.names(f) for f in ("new", "running", "done", "failed")] == [
        ["third"],
        [],
        ["pilot.0,first"],
        ["pilot.0,second"],
    ]
    assert list(site.node.iterdir()) == []


def test_a_pilot_without_a_payload_ends_well_and_says_so(site: Site) -> None:
    code, out = site.run()
    assert code == 0
    assert out.endswith(" no payload\n")


def test_a_pilot_run_by_hand_gives_itself_an_id(site: Site) -> None:
    for name, given in (("a", ""), ("b", "../../x"), ("c", "a,b")):
        site.payload("true", name)
        assert site.run(env={"APF_PILOT": given})[0] == 0
    ids = {name.partition(",")[0] for name in site.names("done")}
    assert len(ids) == 3
    assert all(each.startswith("by-hand-") for each in ids)


def test_hostile_names_are_only_names(site: Site, tmp_path: Path) -> None:
    queue = HOSTILE.replace("\n", " \n")
    create(site.path, queue)
    site.payload('printf "%s" "$0" > out; cat out; exit 3', HOSTILE, queue)
    assert site.count(queue).activated == 1
    code, out = site.run(queue=queue)
    assert code == 3
    claimed = f"{site.path}/{queue}/running/pilot.0,{HOSTILE}"
    assert claimed in out, "the payload was started under its literal name"
    ours = out.replace(claimed, "")
    assert "\x1b" not in ours
    assert [p.name for p in (site.path / queue / "failed").iterdir()] == [f"pilot.0,{HOSTILE}"]
    assert not list(tmp_path.rglob("x")) + list(tmp_path.rglob("y"))


def test_each_of_sixty_payloads_runs_once_on_several_pilots(site: Site) -> None:
    for i in range(60):
        site.payload(f"echo {i} >> {site.path}/ran", f"{i:02}")
    pilots = [site.pilot(n, max_payloads=0) for n in range(6)]
    while any(pilot.poll() is None for pilot in pilots):
        assert site.wms.upkeep() == [], "every claimed payload has a pilot"
        time.sleep(0.01)
    assert [pilot.wait() for pilot in pilots] == [0] * 6
    ran = (site.path / "ran").read_text().split()
    assert sorted(map(int, ran)) == list(range(60))
    assert len(site.names("done")) == 60
    assert site.names("new") + site.names("running") + site.names("failed") == []


def test_a_payload_that_lost_its_pilot_runs_once_more_and_then_has_failed(site: Site) -> None:
    site.payload("echo $$ > pid; exec sleep 300", "job")
    for number, again in ((0, ""), (1, "again,")):
        claimed = f"pilot.{number},{again}job"
        pilot = site.pilot(number)
        pid = until(lambda: _pid(site.node))
        assert site.names("running") == [claimed]
        pilot.kill()
        pilot.wait()
        assert site.wms.upkeep() == [], "the payload itself still runs"
        os.kill(pid, signal.SIGKILL)
        shutil.rmtree(next(site.node.iterdir()))
        lines = until(site.wms.upkeep)
        target = "failed" if again else "new"
        assert lines == [
            f"payload {again}job of q: pilot pilot.{number} is gone, moved to {target}/"
        ]
        assert site.wms.upkeep() == []
    assert site.names("failed") == ["pilot.1,again,job"]
    assert site.names("new") + site.names("running") == []


def _pid(node: Path) -> int:
    return next((int(text) for f in node.rglob("pid") if (text := f.read_text())), 0)


def test_upkeep_opens_nothing_but_payloads_and_overwrites_none(site: Site) -> None:
    running = site.folder / "running"
    os.mkfifo(running / "pilot.0,pipe", 0o777)
    (running / "pilot.0,link").symlink_to("/etc/passwd")
    (running / "pilot.0,folder").mkdir()
    assert site.wms.upkeep() == []
    (running / "pilot.0,job").write_text("first")
    (running / "pilot.1,job").write_text("second")
    (running / "by hand").write_text("third")
    assert len(site.wms.upkeep()) == 3
    assert site.names("new") == ["again,by hand", "again,job"]
    assert site.names("failed") == ["pilot.1,job"]


def test_a_stopped_pilot_hands_the_signal_on_and_its_payload_to_another(site: Site) -> None:
    site.payload("trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    pilot = site.pilot(max_payloads=0)
    assert pilot.stdout is not None
    until(lambda: "ready\n" in pilot.stdout.readline())  # type: ignore[union-attr]
    pilot.terminate()
    out, _ = pilot.communicate(timeout=20)
    assert "got it" in out
    assert pilot.returncode == 7
    assert site.names("running") == ["pilot.0,job"]
    site.wms.upkeep()
    assert site.names("new") == ["again,job"]


def test_a_payload_that_ends_well_when_asked_to_is_done(site: Site) -> None:
    site.payload("trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    site.payload("true", "next")
    pilot = site.pilot(max_payloads=0)
    assert pilot.stdout is not None
    until(lambda: "ready\n" in pilot.stdout.readline())  # type: ignore[union-attr]
    pilot.terminate()
    pilot.communicate(timeout=20)
    assert pilot.returncode == 0
    assert site.names("done") == ["pilot.0,job"]
    assert site.names("new") == ["next"]


def test_without_flock_nothing_is_claimed(site: Site, tmp_path: Path) -> None:
    site.payload("true")
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "sed", "awk", "od", "tr", "df", "uname", "nproc", "sha256sum", "mv"):
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    code, out = site.run(env={"PATH": str(tools)})
    assert code == 69
    assert "there is no flock on this node" in out
    assert site.names("new") == ["job"]


def test_without_its_folders_a_pilot_says_which(site: Site) -> None:
    (site.folder / "done").rmdir()
    code, out = site.run()
    assert code == 66
    assert f"cannot use {site.folder}/done" in out

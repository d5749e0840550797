"""Published versions on disk: whole or not there, never changed, nothing else in their place."""

import os
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import NotFound, SettingsError, StateError
from core.settings import published
from core.settings.published import Version
from core.settings.template import Source
from core.settings.wrappers import Content, Library

CONTEXT: dict[str, Any] = {
    "factory": "f",
    "queue": "q",
    "wms_queue": "w",
    "resource_type": None,
    "wms": {},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "published"


def publish(folder: Path, content: Content, number: int) -> Version:
    version = Version(
        number=number, by="ann", at=1.0, message="m", action=f"a{number}", sha256=content.sha256
    )
    published.write(folder, content.name, version, content.files)
    return version


def edited(library: Library, more: str) -> Content:
    base = library.content("generic")
    return library.draft("generic", base.version, base.files["wrapper.sh"].text + more, None)


def test_the_highest_number_counts_and_renders_as_what_was_published(folder: Path) -> None:
    shipped = Library().content("generic")
    publish(folder, shipped, 9)
    publish(folder, edited(Library(), "# ten\n"), 10)
    library = Library(published=folder)
    assert library.version("generic") == "10"
    assert library.numbers("generic") == [9, 10]
    newest = library.render("generic", {"command": ["x"]}, CONTEXT)
    assert newest.version == "10"
    assert newest.text.endswith("# ten\n")
    # Roll back: the content of an old one renders to its old hash.
    publish(folder, Library(published=folder).content("generic", "9"), 11)
    again = Library(published=folder).render("generic", {"command": ["x"]}, CONTEXT)
    assert again.sha256 == Library().render("generic", {"command": ["x"]}, CONTEXT).sha256


def test_a_published_version_keeps_the_files_that_it_includes(tmp_path: Path, folder: Path) -> None:
    own = tmp_path / "own"
    (own / "steps").mkdir(parents=True)
    step = own / "steps" / "report_node.sh"
    step.write_text("report_node() { echo old; }\ntell() { echo; }\n")
    publish(folder, Library(own).content("generic"), 1)
    step.write_text("report_node() { echo new; }\ntell() { echo; }\n")
    live = Library(own, folder).render("generic", {"command": ["x"]}, CONTEXT)
    assert "echo old" in live.text
    assert "echo new" in Library(own).render("generic", {"command": ["x"]}, CONTEXT).text
    # And a draft of it too, until somebody publishes the folder's.
    draft = edited(Library(own, folder), "# more\n")
    assert "echo old" in draft.files["steps/report_node.sh"].text


def test_published_comes_before_the_operator_s_folder(tmp_path: Path, folder: Path) -> None:
    own = tmp_path / "own" / "generic"
    own.mkdir(parents=True)
    (own / "wrapper.yaml").write_text("name: generic\nsummary: Mine.\n")
    (own / "wrapper.sh").write_text("#!/bin/bash\necho mine\n")
    assert Library(own.parent, folder).version("generic") == "folder"
    publish(folder, Library().content("generic"), 1)
    library = Library(own.parent, folder)
    assert library.version("generic") == "1"
    assert library.unpublished("generic") == ["folder", "shipped"]
    assert library.content("generic", "folder").files["wrapper.sh"].text.endswith("mine\n")


def test_a_version_is_never_written_over_and_its_files_are_read_only(folder: Path) -> None:
    publish(folder, Library().content("generic"), 1)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert {p.stat().st_mode & 0o777 for p in before} == {0o444}
    with pytest.raises(StateError, match="generic/1: cannot be written"):
        publish(folder, edited(Library(), "# other\n"), 1)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_what_cannot_be_finished_leaves_nothing(
    folder: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(folder, Library().content("generic"), 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os if call == "fsync" else Path, call, full)
        with pytest.raises(StateError, match="No space left"):
            publish(folder, edited(Library(), "# more\n"), 2)
    assert [p.name for p in (folder / "generic").iterdir()] == ["1"]
    publish(folder, edited(Library(), "# more\n"), 2)


def test_a_disk_that_cannot_say_that_it_kept_a_version_has_not_published_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = os.fsync, []

    def fails_after_the_rename(fd: int) -> None:
        if (folder / "generic" / "1").exists():
            asked.append(fd)
            raise OSError(5, "Input/output error")
        real(fd)

    monkeypatch.setattr(os, "fsync", fails_after_the_rename)
    with pytest.raises(StateError, match="Input/output error"):
        publish(folder, Library().content("generic"), 1)
    assert asked
    assert Library(published=folder).version("generic") == "shipped"


def change(path: Path, text: str | None) -> None:
    path.parent.chmod(0o755)
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text)


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("wrapper.sh", "#!/bin/bash\necho evil\n", "not those that were published"),
        ("wrapper.sh", None, "not those that were published"),
        ("steps/report_node.sh", None, "not those that were published"),
        ("steps/more.sh", "x", "not those that were published"),
        ("version.toml", None, "No such file"),
        ("version.toml", "number = 1", "is damaged"),
        ("version.toml", "number = [", "is damaged"),
    ],
)
def test_a_damaged_version_is_named_and_nothing_comes_in_its_place(
    folder: Path, file: str, text: str | None, says: str
) -> None:
    publish(folder, Library().content("generic"), 1)
    change(folder / "generic" / "1" / file, text)
    with pytest.raises(SettingsError, match=says) as caught:
        Library(published=folder).render("generic", {"command": ["x"]}, CONTEXT)
    assert str(folder / "generic" / "1") in str(caught.value)
    assert "move it away" in caught.value.cure


def test_a_version_that_says_another_number_is_damaged(folder: Path) -> None:
    publish(folder, Library().content("generic"), 1)
    (folder / "generic" / "1").rename(folder / "generic" / "2")
    with pytest.raises(SettingsError, match="it says that it is version 1"):
        Library(published=folder).live("generic")


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "published").write_text("a file")
    library = Library(published=tmp_path / "published")
    with pytest.raises(SettingsError, match=r"cannot read .*published"):
        library.names()
    with pytest.raises(SettingsError, match=r"cannot read .*published"):
        library.live("generic")


@pytest.mark.parametrize("name", ["..", ".", "", "../published/generic", "a/b", "x\n", "-x"])
@pytest.mark.parametrize("version", ["1", "../1"])
def test_names_and_numbers_are_no_paths(folder: Path, name: str, version: str) -> None:
    publish(folder, Library().content("generic"), 1)
    with pytest.raises((NotFound, SettingsError), match="there is no"):
        Library(published=folder).content(name, version)


@pytest.mark.parametrize("version", ["0", "01", "-1", "1/../1", "99", "²", "1 ", "newest"])
def test_only_numbers_of_versions_are_versions(folder: Path, version: str) -> None:
    publish(folder, Library().content("generic"), 1)
    with pytest.raises(NotFound, match="version"):
        Library(published=folder).content("generic", version)


def test_what_is_not_ours_is_left_alone(folder: Path) -> None:
    publish(folder, Library().content("generic"), 1)
    for other in (".new", "2.bak", "02", "lost+found"):
        (folder / "generic" / other).mkdir()
    assert Library(published=folder).version("generic") == "1"
    publish(folder, edited(Library(), "# more\n"), 2)
    assert not (folder / "generic" / ".new").exists()
    assert published.actions(folder) == {"a1", "a2"}


def test_a_file_may_stand_in_any_folder_of_a_version(folder: Path) -> None:
    files = {
        "wrapper.yaml": Source("name: mine\nsummary: s\n", "d"),
        "wrapper.sh": Source('#!/bin/bash\n#% include "site/a/b.sh"\n', "d"),
        "site/a/b.sh": Source("echo deep\n", "d"),
    }
    publish(folder, Content("mine", "", files), 1)
    assert Library(published=folder).render("mine", {}, CONTEXT).text == "#!/bin/bash\necho deep\n"

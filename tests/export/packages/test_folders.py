"""Folders are written whole, and only over what this project wrote and nobody changed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from export.packages import folders
from export.packages.folders import MANIFEST, whole
from infer.errors import InputError


def write(place: Path, text: str) -> None:
    with whole(place, {"to": "test"}) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text(text)


def fail(place: Path, error: BaseException) -> None:
    """Fill a folder, and raise."""
    with whole(place, {}) as folder:
        (folder / "a").write_text("two")
        raise error


def around(place: Path) -> list[str]:
    return sorted(path.name for path in place.parent.iterdir())


def test_a_folder_is_written_and_written_again(tmp_path: Path) -> None:
    place = tmp_path / "new" / "out"
    write(place, "one")
    manifest = json.loads((place / MANIFEST).read_text())
    assert manifest["to"] == "test" and list(manifest["files"]) == ["sub/a"]
    write(place, "two")
    assert (place / "sub" / "a").read_text() == "two" and around(place) == ["out"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", "one")
    assert (tmp_path / "out" / "sub" / "a").read_text() == "one"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda place: (place / MANIFEST).unlink(), "was not written by this project"),
        (lambda place: (place / MANIFEST).write_text("{}"), "was not written by this project"),
        (lambda place: (place / MANIFEST).write_text("["), "was not written by this project"),
        (lambda place: (place / "sub" / "a").write_text("mine"), "holds sub/a, which"),
        (lambda place: (place / "b").write_text("mine"), "holds b, which"),
        (lambda place: (place / "b").symlink_to("/"), "holds b, which"),
    ],
)
def test_what_is_not_as_it_was_written_stays(change, message: str, tmp_path: Path) -> None:
    place = tmp_path / "out"
    write(place, "one")
    change(place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=message):
        write(place, "two")
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert around(place) == ["out"]


def test_files_and_links_are_no_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to("other")
    for name in ("file", "link"):
        with pytest.raises(InputError, match=f"cannot write .*{name}: it is no folder"):
            write(tmp_path / name, "one")


def test_an_error_leaves_the_earlier_folder_alone(tmp_path: Path) -> None:
    place = tmp_path / "out"
    write(place, "one")
    with pytest.raises(InputError, match="bad"):
        fail(place, InputError("bad"))
    with pytest.raises(InputError, match=r"cannot write .*out: No space left on device; what was there is unchanged"):
        fail(place, OSError(28, os.strerror(28)))
    assert (place / "sub" / "a").read_text() == "one" and around(place) == ["out"]


def test_a_process_killed_between_two_renames_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "out"
    write(place, "one")

    def killed(part: Path, place: Path, earlier: Path) -> None:
        place.rename(earlier)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folders, "_exchange", killed)
        with pytest.raises(KeyboardInterrupt):
            write(place, "two")
    assert around(place) == [".out.earlier"]
    with pytest.raises(InputError):
        fail(place, InputError("bad"))
    assert (place / "sub" / "a").read_text() == "one" and around(place) == ["out"]


def test_a_rename_that_fails_puts_the_earlier_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, rename = tmp_path / "out", Path.rename
    write(place, "one")

    def failing(path: Path, target: Path) -> Path:
        if path.name == ".out.part":
            raise OSError(28, os.strerror(28))
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(InputError, match="No space left"):
            write(place, "two")
    assert (place / "sub" / "a").read_text() == "one" and around(place) == ["out"]


def test_what_others_called_so_is_not_removed(tmp_path: Path) -> None:
    for name in (".out.part", ".out.earlier"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("mine")
    with pytest.raises(InputError):
        write(tmp_path / "out", "one")
    assert (tmp_path / ".out.part" / "mine").exists() and (tmp_path / ".out.earlier" / "mine").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked, to be killed")
@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_a_process_left_that_was_killed_as_it_wrote_goes(number: int, tmp_path: Path, monkeypatch) -> None:
    """Whichever file it was: the manifest of the beginning, a file within, that of the end."""
    place, written = tmp_path / "out", []
    write(place, "one")
    if not (child := os.fork()):

        def killed(path: Path, text: str, *_: Any, **__: Any) -> None:
            written.append(path)
            path.write_bytes(b"" if len(written) == number else text.encode())
            if len(written) == number:
                os._exit(7)

        try:
            monkeypatch.setattr(Path, "write_text", killed)
            write(place, "two")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert (place / "sub" / "a").read_text() == "one" and ".out.part" in around(place)
    write(place, "three")
    assert (place / "sub" / "a").read_text() == "three" and around(place) == ["out"]

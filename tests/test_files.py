"""Files are replaced whole or not at all."""

import hashlib
import os
from pathlib import Path

import pytest

from infer.errors import InputError
from infer.files import replacing, sha256, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "é")
    write_text(path, "second")
    assert path.read_text() == "second" and names(path.parent) == ["a.txt"]


def test_a_failure_inside_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "earlier")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), replacing(path) as part:
            part.write_text("half")
            assert path.read_text() == "earlier"
            raise error
    assert path.read_text() == "earlier" and names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "earlier")
    with (
        pytest.raises(InputError, match=r"cannot write .*a\.txt: No space left on device; earlier files"),
        replacing(path),
    ):
        raise OSError(28, "No space left on device")
    assert path.read_text() == "earlier" and names(tmp_path) == ["a.txt"]


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "x")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "a.txt", tmp_path / "folder"):
        with pytest.raises(InputError, match=f"cannot write {path}"):
            write_bytes(path, b"y")
    assert (tmp_path / "file").read_text() == "x" and names(tmp_path) == ["file", "folder"]


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    earlier = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(earlier)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_the_checksum_is_that_of_sha256sum(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()

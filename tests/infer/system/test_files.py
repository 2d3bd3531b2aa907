"""Files are replaced whole or not at all."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infer.errors import InputError
from infer.system import files
from infer.system.files import (
    point,
    remove_abandoned,
    replacing,
    replacing_together,
    sync_folder,
    sync_tree,
    write_bytes,
    write_text,
)
from infer.system.fingerprints import fingerprint, sha256
from tests.helpers.checkerboard import HANGS, ROOT


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "er" / "a.txt"
    write_text(path, "é")
    write_text(path, "second")
    assert path.read_text() == "second" and names(path.parent) == ["a.txt"]


def test_a_reader_of_the_earlier_file_keeps_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "earlier")
    with path.open() as reader:
        with replacing(path) as part:
            # Beside the target, for a rename across file systems is not one step.
            assert part.parent == tmp_path and part != path
            part.write_text("new")
        assert path.read_text() == "new" and reader.read() == "earlier"


def test_a_failure_inside_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "earlier")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error), replacing(path) as part:  # noqa: PT012
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


# A limit on the size of a file stands for the full disk: the write fails halfway, as on a real one.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import polars as pl
from infer.errors import InputError
from infer.system.files import replacing, write_bytes

def table(path):
    with replacing(path) as part:
        getattr(pl.DataFrame({"a": range(100_000)}), sys.argv[2])(part)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(Path(sys.argv[1]), b"n" * 100_000) if sys.argv[2] == "bytes" else table(Path(sys.argv[1]))
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["bytes", "write_parquet", "write_csv"])
def test_a_disk_that_fills_while_writing_leaves_the_earlier_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"earlier\x00\xff")
    command = [sys.executable, "-c", FULL_DISK, str(path), kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"cannot write {path}: ") and "File too large" in done.stdout
    assert done.stdout.count("\n") == 1
    assert path.read_bytes() == b"earlier\x00\xff" and names(tmp_path) == ["a"]


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "x")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "a.txt", tmp_path / "folder"):
        with pytest.raises(InputError, match=f"cannot write {path}"):
            write_bytes(path, b"y")
    with pytest.raises(InputError, match="folder: it is a folder"), replacing(tmp_path / "folder"):
        pytest.fail("nothing may be computed for a place that cannot take it")
    assert (tmp_path / "file").read_text() == "x" and names(tmp_path) == ["file", "folder"]


def test_the_mode_follows_the_umask(tmp_path: Path) -> None:
    earlier = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        left = os.umask(earlier)
    assert left == 0o027, "and is left as it was"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_replaced_file_keeps_its_mode(mode: int, tmp_path: Path) -> None:
    path, link = tmp_path / "private", tmp_path / "link"
    path.write_text("earlier")
    path.chmod(mode)
    link.symlink_to("private")
    for place in (path, link):
        with replacing(place) as part:
            part.write_text("new")
            assert part.stat().st_mode & 0o777 == 0o600, "also while it is written"
        assert path.stat().st_mode & 0o777 == mode and path.read_text() == "new"


@pytest.fixture
def steps(monkeypatch) -> list[tuple[str, str]]:
    """What is flushed, renamed and linked from now on, in order, with the names of the places."""
    seen, fsync, replace, symlink = [], os.fsync, os.replace, os.symlink

    def flush(handle: int) -> None:
        seen.append(("flush", Path(f"/proc/self/fd/{handle}").readlink().name))
        fsync(handle)

    def rename(one: Path, other: Path) -> None:
        seen.append(("rename", f"{Path(one).name} -> {Path(other).name}"))
        replace(one, other)

    def link(target: str, place: Path, *rest: bool) -> None:
        seen.append(("link", f"{Path(place).name} -> {target}"))
        symlink(target, place, *rest)

    for name, recorder in (("fsync", flush), ("replace", rename), ("symlink", link)):
        monkeypatch.setattr(os, name, recorder)
    return seen


linux = pytest.mark.skipif(sys.platform != "linux", reason="an open file's name is read from /proc")


@linux
def test_content_name_and_folder_are_on_the_disk_in_this_order(tmp_path: Path, steps) -> None:
    with replacing(tmp_path / "new" / "er" / "a.txt") as part:
        # The folders that were made, each in the one above it, before anything is written into them.
        assert steps == [("flush", "new"), ("flush", tmp_path.name)]
        steps.clear()
        part.write_text("x")
    assert steps == [("flush", part.name), ("rename", f"{part.name} -> a.txt"), ("flush", "er")]


def write_together(paths: list[Path]) -> None:
    with replacing_together(paths) as parts:
        for part in parts:
            part.write_text("new")


@linux
def test_files_that_belong_together_are_all_on_the_disk_before_the_first_is_renamed(tmp_path: Path, steps) -> None:
    with replacing_together([tmp_path / "a.txt", tmp_path / "b.txt"]) as (one, other):
        one.write_text("x")
        other.write_text("y")
    renamed = [("rename", f"{part.name} -> {name}") for part, name in ((one, "a.txt"), (other, "b.txt"))]
    assert steps == [("flush", one.name), ("flush", other.name), *renamed, ("flush", tmp_path.name)]


@linux
def test_of_files_that_belong_together_none_is_replaced_if_the_disk_refuses_one(tmp_path: Path, monkeypatch) -> None:
    paths = [tmp_path / name for name in ("a.txt", "b.txt")]
    for path in paths:
        write_text(path, "earlier")
    fsync = os.fsync

    def refuse(handle: int) -> None:
        if ".b.txt." in str(Path(f"/proc/self/fd/{handle}").readlink()):
            raise OSError(28, os.strerror(28))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(
        InputError, match=r"cannot write .*b\.txt: No space left on device; earlier files are unchanged"
    ):
        write_together(paths)
    assert [path.read_text() for path in paths] == ["earlier", "earlier"] and names(tmp_path) == ["a.txt", "b.txt"]


def test_what_is_renamed_already_is_said_where_a_later_one_cannot_be(tmp_path: Path, monkeypatch) -> None:
    paths, real = [tmp_path / name for name in ("a.txt", "b.txt")], Path.replace
    for path in paths:
        write_text(path, "earlier")

    def refuse(part: Path, place: Path) -> Path:
        if place.name == "b.txt":
            raise PermissionError(13, os.strerror(13))
        return real(part, place)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(InputError, match=r"cannot write .*b\.txt: Permission denied; .*a\.txt is new, the others are"):
        write_together(paths)
    assert [path.read_text() for path in paths] == ["new", "earlier"] and names(tmp_path) == ["a.txt", "b.txt"]


@linux
def test_a_tree_is_flushed_from_its_leaves_up_and_links_are_left(tmp_path: Path, steps) -> None:
    (tmp_path / "t" / "below").mkdir(parents=True)
    for name in ("b", "a", "below/c"):
        (tmp_path / "t" / name).write_text(name)
    (tmp_path / "t" / "link").symlink_to("nowhere")
    (tmp_path / "t" / "far").symlink_to(tmp_path)
    steps.clear()
    sync_tree(tmp_path / "t")
    assert steps == [("flush", name) for name in ("c", "below", "a", "b", "t")]


def test_a_disk_that_cannot_flush_is_one_line_and_one_that_has_no_flushing_is_fine(tmp_path: Path, monkeypatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    number = 5
    with pytest.raises(InputError, match=f"^cannot flush {tmp_path} to the disk: Input/output error$"):
        sync_folder(tmp_path)
    number = 22  # EINVAL: what is no disk
    sync_folder(tmp_path)


@linux
def test_a_link_is_pointed_anew_in_one_step(tmp_path: Path, steps) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / ".now.link").symlink_to("left by a killed process")
    steps.clear()
    for name in ("one", "two"):
        point(tmp_path / "now", name)
        assert (tmp_path / "now").readlink() == Path(name)
        expected = [("link", f".now.link -> {name}"), ("rename", ".now.link -> now"), ("flush", tmp_path.name)]
        assert steps == expected
        steps.clear()
    assert names(tmp_path) == ["now", "one", "two"]


def test_only_a_link_is_pointed_anew(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder"):
        with pytest.raises(InputError, match=f"{name} a link to other: it exists and is no link; move it away"):
            point(tmp_path / name, "other")
    assert (tmp_path / "file").read_text() == "x" and names(tmp_path) == ["file", "folder"]


def test_a_file_system_without_links_is_one_line(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    with pytest.raises(InputError, match=r"now a link to one: Operation not permitted; choose a place whose file sys"):
        point(tmp_path / "now", "one")
    assert names(tmp_path) == []


def test_only_what_a_killed_writer_of_the_same_file_left_is_removed(tmp_path: Path) -> None:
    own, other, strange = (tmp_path / f".{name}.abcd1234.part" for name in ("a.txt", "b.txt", "a.txt.bak"))
    for left in (own, other, strange):
        left.write_text("half")
    with replacing(tmp_path / "a.txt") as mine:
        mine.write_text("first")
        write_text(tmp_path / "a.txt", "second")  # another writer, while the first still writes
        assert mine.read_text() == "first", "a locked file belongs to somebody"
    assert names(tmp_path) == [strange.name, other.name, "a.txt"] and (tmp_path / "a.txt").read_text() == "first"


def test_a_folder_is_cleared_of_abandoned_parts_once_for_many_files(tmp_path: Path, monkeypatch) -> None:
    for name in (".a.txt.abcd1234.part", ".b.txt.abcd1234.part", ".strange.part", "b.txt"):
        (tmp_path / name).write_text("half")
    with replacing(tmp_path / "c.txt") as mine:
        mine.write_text("c")
        remove_abandoned(tmp_path)
        assert names(tmp_path) == sorted([mine.name, ".strange.part", "b.txt"])
    remove_abandoned(tmp_path / "absent")
    monkeypatch.setattr(Path, "iterdir", lambda _: pytest.fail("a listing for each file makes many files slow"))
    with replacing(tmp_path / "d.txt", alone=True) as part:
        part.write_text("d")
    assert (tmp_path / "d.txt").read_text() == "d"


def test_a_part_that_was_removed_before_it_was_locked_is_not_written_to(tmp_path: Path, monkeypatch) -> None:
    real, removed = files._lock, []

    def late(handle: int, wait: bool = False) -> bool:
        if wait and not removed:
            removed.extend(tmp_path.glob(".a.txt.*.part"))
            removed[0].unlink()
        return real(handle, wait)

    monkeypatch.setattr(files, "_lock", late)
    with replacing(tmp_path / "a.txt") as part:
        assert part.exists() and part not in removed
        part.write_text("x")
    assert len(removed) == 1 and (tmp_path / "a.txt").read_text() == "x" and names(tmp_path) == ["a.txt"]


def test_a_link_in_the_place_of_a_part_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    (tmp_path / ".a.txt.abcd1234.part").symlink_to(tmp_path / "precious")
    write_text(tmp_path / "a.txt", "y")
    assert names(tmp_path) == [".a.txt.abcd1234.part", "a.txt", "precious"]


# A writer that is killed while it writes, as soon as it has said so.
KILLED = """
import os, signal, sys
from pathlib import Path
from infer.system.files import replacing

with replacing(Path(sys.argv[1])) as part:
    part.write_text("half")
    print(part.name, flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_part_of_another_process_stays_until_that_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        part = writer.stdout.readline().strip()
        write_text(path, "first")
        assert names(tmp_path) == [part, "a.txt"], "its writer lives"
        writer.communicate("\n", timeout=HANGS)
    assert writer.returncode == -9 and names(tmp_path) == [part, "a.txt"]
    write_text(path, "second")
    assert names(tmp_path) == ["a.txt"]


def test_on_windows_nothing_is_locked_and_a_part_is_closed_before_it_is_renamed(tmp_path: Path, monkeypatch) -> None:
    handles, real, rename = [], files._own_part, os.replace

    def own(path: Path) -> tuple[int, Path]:
        handles.append(real(path)[0])
        return handles[-1], next(part for part in tmp_path.glob(".a.txt.*.part") if not part.is_symlink())

    def renamed(part: Path, target: Path) -> None:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(handles[-1])
        rename(part, target)

    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(files, "lock_descriptor", lambda *_, **__: pytest.fail("a lock would refuse the writer"))
    monkeypatch.setattr(files, "_own_part", own)
    monkeypatch.setattr(os, "replace", renamed)
    (tmp_path / ".a.txt.abcd1234.part").write_text("left by a killed writer")
    (tmp_path / ".a.txt.dcba4321.part").symlink_to(tmp_path / "a.txt")
    write_text(tmp_path / "a.txt", "x")
    assert (
        len(handles) == 1
        and names(tmp_path) == [".a.txt.dcba4321.part", "a.txt"]
        and (tmp_path / "a.txt").read_text() == "x"
    )


def test_a_stamp_tells_another_file_size_or_time_apart(tmp_path: Path) -> None:
    path, folder = tmp_path / "a", tmp_path / "f"
    folder.mkdir()
    for place, members, file in ((path, None, path), (folder, [folder / "part"], folder / "part")):
        file.write_text("one")
        os.utime(file, ns=(5, 5))
        found = {fingerprint(place, members)}
        os.utime(file, ns=(5, 6))
        found.add(fingerprint(place, members))
        file.write_text("three")
        os.utime(file, ns=(5, 6))
        found.add(fingerprint(place, members))
        file.rename(tmp_path / "kept")  # so that its number is not given to the next
        file.write_text("three")
        os.utime(file, ns=(5, 6))
        found.add(fingerprint(place, members))
        assert len(found) == 4
        (tmp_path / "kept").unlink()


def test_the_checksum_of_a_folder_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    write_bytes(tmp_path / "f" / "b", b"2")
    write_bytes(tmp_path / "f" / "a", b"1")
    one, two = (hashlib.sha256(content).hexdigest() for content in (b"1", b"2"))
    found = sha256(tmp_path / "f", [tmp_path / "f" / "a", tmp_path / "f" / "b"])
    assert found == hashlib.sha256(f"{one}  a\n{two}  b\n".encode()).hexdigest()


def test_the_checksum_is_that_of_sha256sum(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.skipif(os.name == "nt", reason="an open file is the lock there, and must be closed before")
def test_a_part_file_is_locked_until_it_is_gone(tmp_path: Path, monkeypatch) -> None:
    real, taken = Path.unlink, []

    def watched(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".part":
            handle = os.open(path, os.O_RDWR)
            taken.append(files._lock(handle))
            os.close(handle)
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    with pytest.raises(InputError, match="cannot write"), replacing(tmp_path / "a.txt"):
        raise OSError(28, "No space left on device")
    assert taken == [False] and list(tmp_path.iterdir()) == []

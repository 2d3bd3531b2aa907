"""The folder changes in one step, and nothing of somebody else's is touched."""

import json
from pathlib import Path

import pytest

from export.web.publishing import check_output, publish, staged
from infer.errors import InputError
from infer.system.locks import BusyError
from infer.system.ownership import HTML_MARK, MARK
from tests.helpers.nights import tree


def write(output: Path, text: str) -> str:
    """A page that shows a text."""
    with staged(output) as stage:
        (stage / "models").mkdir()
        (stage / "models" / "text.txt").write_text(text)
        (stage / "recommender.json").write_text(json.dumps(MARK))
        return publish(output, stage, lambda version: f"<!doctype html><html><head>{HTML_MARK}</head>{version}</html>")


def fail(output: Path, error: Exception) -> None:
    """A page that is not finished."""
    with staged(output) as stage:
        (stage / "begun").write_text("x")
        raise error


def shown(output: Path) -> str:
    (place,) = [path for path in output.iterdir() if path.is_dir()]
    assert place.name in (output / "index.html").read_text()
    return (place / "models" / "text.txt").read_text()


def test_the_version_follows_from_what_is_in_it_and_replaces_the_earlier_one(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "web"
    first = write(output, "one")
    assert shown(output) == "one" and len(first) == 16
    assert write(output, "one") == first and shown(output) == "one"
    assert write(output, "two") != first and shown(output) == "two"
    assert sorted(path.name for path in output.iterdir()) == sorted(["index.html", write(output, "two")])


def test_what_was_changed_by_hand_is_written_anew(tmp_path: Path) -> None:
    output = tmp_path / "web"
    version = write(output, "one")
    (output / version / "models" / "text.txt").write_text("changed")
    assert write(output, "one") == version and shown(output) == "one"


def test_a_failure_leaves_the_earlier_page_or_no_folder_and_the_next_run_clears_up(tmp_path: Path) -> None:
    output = tmp_path / "web"
    with pytest.raises(ZeroDivisionError):
        fail(output, ZeroDivisionError())
    assert not output.exists()
    output.mkdir()  # as the mount of a server
    with pytest.raises(ZeroDivisionError):
        fail(output, ZeroDivisionError())
    assert output.is_dir() and not any(output.iterdir())
    write(output, "one")
    before = tree(output)
    with pytest.raises(ZeroDivisionError):
        fail(output, ZeroDivisionError())
    assert tree(output) == before
    (output / ".part").mkdir()  # of a process that was killed
    (output / ".part" / ".staged").touch()
    (output / ".part" / "begun").write_text("x")
    check_output(output, [])
    write(output, "one")
    assert tree(output) == before


def test_a_mark_that_a_killed_process_left_in_a_page_goes(tmp_path: Path) -> None:
    output = tmp_path / "web"
    version = write(output, "one")
    before = tree(output)
    (output / version / ".staged").touch()
    assert write(output, "one") == version and tree(output) == before


def test_two_at_once_do_not_meet(tmp_path: Path) -> None:
    with staged(tmp_path / "web"), pytest.raises(BusyError, match="another process is working on"):
        write(tmp_path / "web", "two")


def test_other_files_of_the_folder_stay(tmp_path: Path) -> None:
    output = tmp_path / "web"
    write(output, "one")
    (output / "robots.txt").write_text("mine")
    (output / "0123456789abcdef").mkdir()
    (output / "0123456789abcdef" / "mine.txt").write_text("mine")
    check_output(output, [])
    write(output, "two")
    assert (output / "robots.txt").read_text() == "mine" and (output / "0123456789abcdef" / "mine.txt").exists()


def test_folders_of_somebody_else_with_names_of_this_command_stay(tmp_path: Path) -> None:
    output = tmp_path / "web"
    version = write(tmp_path / "elsewhere", "two")
    write(output, "one")
    for name in (".part", version):
        (output / name).mkdir()
        (output / name / "mine.txt").write_text("mine")
        before = tree(output)
        with pytest.raises(InputError, match=f"{name} exists and was not written by this command: move it away"):
            write(output, "two")
        assert tree(output) == before
        (output / name / "mine.txt").unlink()
        (output / name).rmdir()
    assert write(output, "two") == version


@pytest.mark.parametrize("name", ["index.html", "notes.txt"])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, name: str) -> None:
    output = tmp_path / "web"
    output.mkdir()
    (output / name).write_text("<!doctype html><html>mine</html>")
    with pytest.raises(InputError, match=f"web exists and was not written by this command .it holds {name}.: move it"):
        check_output(output, [])


def test_files_links_and_own_inputs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("elsewhere")
    for name, why in (("file", "no folder"), ("link", "a link")):
        with pytest.raises(InputError, match=f"cannot write .*{name}: it is {why}"):
            check_output(tmp_path / name, [])
    version = write(tmp_path / "web", "one")
    with pytest.raises(InputError, match=r"lies in .*web, which would be replaced: choose another --output"):
        check_output(tmp_path / "web", [tmp_path / "web" / version / "models" / "text.txt"])


def test_an_unwritable_place_is_told_in_a_line(tmp_path: Path) -> None:
    output = tmp_path / "web"
    write(output, "one")
    before = tree(output)
    with pytest.raises(InputError, match=r"cannot write .*web: No space left"):
        fail(output, OSError(28, "No space left on device"))
    assert tree(output) == before

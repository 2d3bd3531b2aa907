"""Published lists by user, for ids of both types."""

from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.serving import answers
from infer.serving.bodies import Listed
from infer.serving.users import UserLists, stamp_of_lists


@pytest.fixture
def lists_of(monkeypatch):
    """Lists of a few users, without a model: what `Published` gives is put in its place."""

    def make(users: list, **more: pl.Series) -> UserLists:
        rows = pl.DataFrame({"user": [u for u in users for _ in (1, 2)], "rank": [1, 2] * len(users)})
        rows = rows.with_columns(item=pl.int_range(pl.len()), score=pl.lit(1.0), **more)

        class Given:
            name, empty = "000007", rows.clear()

            def __init__(self, path: Path) -> None:
                pass

            def parts(self):
                return iter([rows[: len(users)], rows[len(users) :]])

        monkeypatch.setattr("infer.serving.users.Published", Given)
        return UserLists(Path("lists.parquet"))

    return make


def test_every_user_is_found_and_nobody_else(lists_of) -> None:
    lists = lists_of([5, -3, 2**62, 40])
    assert lists.users == 4 and lists.version == "000007"
    assert [lists.of(str(user), 9)["item"].to_list() for user in (5, -3, 2**62, 40)] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert lists.of("40", 1)["item"].to_list() == [6]
    assert all(lists.of(user, 9) is None for user in ("6", "-4", "41", "05", "+5", "5.0", "", "x", str(2**70), " 5"))
    texts = lists_of(["b", "é", "", "a/b", "7"])
    assert [texts.of(user, 1)["item"][0] for user in ("b", "é", "", "a/b", "7")] == [0, 2, 4, 6, 8]
    assert texts.of("a", 9) is None and texts.of("zz", 9) is None and texts.of("\0", 9) is None
    assert lists_of([]).of("1", 9) is None


def test_a_list_without_reasons_beside_others_is_as_described(lists_of) -> None:
    lists = lists_of([1, 2], because=pl.Series([[7], [8], None, None]))  # of the second user, a fallback's
    found = [Listed.model_validate(answers.published("l", lists, user, 9)).items for user in ("1", "2")]
    assert [[row.because for row in rows] for rows in found] == [[[7], [8]], [None, None]]


@pytest.mark.parametrize("part", [0, 1])
def test_a_part_that_is_another_s_copy_or_was_changed_is_refused(
    part: int, artifacts: Path, tmp_path: Path, run
) -> None:
    lists = tmp_path / "m.topk.parquet"
    done = run("infer.batch", f"--model={artifacts / 'hybrid.onnx'}", f"--output={lists}", "--production", "--k=3",
               "--part-users=16")  # fmt: skip
    assert done.returncode == 0, done.stderr
    whole = UserLists(lists)
    files = sorted(lists.resolve().glob("*.parquet"))
    assert len(files) > 2 and whole.users > 32
    for content in (files[1 - part].read_bytes(), None):
        before = files[part].read_bytes()
        if content is None:
            pl.read_parquet(files[part]).with_columns(pl.lit(101).alias("user")).write_parquet(files[part])
        else:
            files[part].write_bytes(content)
        with pytest.raises(InputError, match="is not what its manifest says of it"):
            UserLists(lists)
        files[part].write_bytes(before)
    assert UserLists(lists).users == whole.users


def test_what_is_not_published_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no published lists"):
        UserLists(tmp_path / "lists.parquet")
    assert stamp_of_lists(tmp_path / "lists.parquet") == ("", 0)
    with pytest.raises(InputError, match=r"^--lists m\.topk: expected an output of `python -m infer\.batch`"):
        stamp_of_lists(Path("m.topk"))

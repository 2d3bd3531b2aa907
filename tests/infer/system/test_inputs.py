"""What may be opened."""

import os
from pathlib import Path

import pytest

from infer.delivery.targets import target_of
from infer.errors import InputError
from infer.publishing.publications import Publications
from infer.system.inputs import check_input
from infer.system.ownership import claim


def test_a_path_that_is_no_text_is_refused(tmp_path: Path) -> None:
    for name in ("a b.csv", "売上\u3000表.csv"):
        (tmp_path / name).touch()
        check_input(tmp_path / name)
    odd = tmp_path / os.fsdecode(b"a\xffb.csv")
    odd.touch()
    with pytest.raises(InputError, match=r"is no UTF-8 path in this locale: rename it"):
        check_input(odd)


def test_what_is_written_has_a_path_that_is_a_text_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / os.fsdecode(b"a\xff")
    says = r"is no UTF-8 path in this locale: rename it"
    for place in (lambda: claim([odd / "interactions.parquet"]), lambda: Publications(odd.with_suffix(".parquet"))):
        with pytest.raises(InputError, match=says):
            place()
    with pytest.raises(InputError, match=says):
        target_of(odd.with_suffix(".csv"), "lists")
    odd.mkdir()
    monkeypatch.chdir(odd)  # in which a relative path is one, too
    with pytest.raises(InputError, match=says):
        claim([Path("artifacts/interactions.parquet")])

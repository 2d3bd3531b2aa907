"""What may be opened."""

import os
from pathlib import Path

import pytest

from infer.errors import InputError
from infer.system.inputs import check_input


def test_a_path_that_is_no_text_is_refused(tmp_path: Path) -> None:
    for name in ("a b.csv", "売上\u3000表.csv"):
        (tmp_path / name).touch()
        check_input(tmp_path / name)
    odd = tmp_path / os.fsdecode(b"a\xffb.csv")
    odd.touch()
    with pytest.raises(InputError, match=r"is no UTF-8 path in this locale: rename it"):
        check_input(odd)

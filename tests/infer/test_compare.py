"""Reports side by side: which columns there are, and which reports cannot be compared."""

import json
from pathlib import Path

import pytest

from infer import compare
from infer.errors import InputError


def metrics(value: float) -> dict:
    novelty = {"value": 2.5, "low": 2.25, "high": 2.75}
    return {
        "hit@10": {"value": value, "low": value / 2, "high": 2 * value},
        "coverage@10": {"value": 0.5, "low": None, "high": None},
        "novelty@10": novelty,
    }


def write(folder: Path, name: str, value: float, **changed) -> None:
    columns = {"random": metrics(0.01), "popularity": metrics(0.02), name: metrics(value)}
    report = {
        "dataset": "d",
        "dataset_checksum": "c",
        "interactions_checksum": "c",
        "protocol": "p",
        "k": 10,
        "users_measured": 7,
    }
    report |= {"metrics": columns} | changed
    kept = {key: content for key, content in report.items() if content is not None}
    (folder / f"{name}.metrics.json").write_text(json.dumps(kept))


def test_every_model_is_a_column_beside_one_of_random_and_one_of_popularity(tmp_path: Path, capsys) -> None:
    write(tmp_path, "mf", 0.1)
    write(tmp_path, "bert", 0.25)
    # A file that was renamed is shown under its new name.
    (tmp_path / "mf.metrics.json").rename(tmp_path / "first.metrics.json")
    compare.main([f"--artifacts={tmp_path}"])
    title, names, hit, coverage, novelty = (line.split() for line in capsys.readouterr().out.splitlines())
    assert " ".join(title) == "d: 7 users, p" and names == ["random", "popularity", "bert", "first"]
    assert " ".join(hit[:5]) == "hit@10 % 1.00 [0.50, 2.00]" and " ".join(hit[-6:-3]) == "25.00 [12.50, 50.00]"
    assert coverage == ["coverage@10", "%", *["50.00"] * 4]
    assert " ".join(novelty[:5]) == "novelty@10 bits 2.50 [2.25, 2.75]"


def test_the_table_that_was_measured_is_named(tmp_path: Path, capsys) -> None:
    write(tmp_path, "bert", 0.1, dataset_checksum="b", interactions="night.csv")
    compare.main([f"--artifacts={tmp_path}"])
    assert capsys.readouterr().out.startswith("night.csv: 7 users, p")


@pytest.mark.parametrize("key", ["interactions_checksum", "protocol", "k", "users_measured"])
@pytest.mark.parametrize("value", [8, None])
def test_reports_of_something_else_are_refused(key: str, value: int | None, tmp_path: Path) -> None:
    write(tmp_path, "bert", 0.1)
    write(tmp_path, "mf", 0.1, **{key: value})
    with pytest.raises(InputError, match=f"mf and bert differ in {key}: score both on the same table again"):
        compare.read_reports(tmp_path)


def test_reports_that_say_nothing_of_what_they_measured_or_are_cut_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "bert", 0.1, protocol=None)
    with pytest.raises(InputError, match="differ in protocol"):
        compare.read_reports(tmp_path)
    (tmp_path / "bert.metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"bert\.metrics\.json is not valid JSON: score that model again"):
        compare.read_reports(tmp_path)

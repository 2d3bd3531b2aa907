"""Reports side by side: which columns there are, and which reports cannot be compared."""

import json
import re
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


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("fallback", "popular", "--fallback"),
        ("variety", {"most_per": "brand=1", "diversity": 0.0}, "--most-per or --diversity"),
        ("rules", {"seen": "keep"}, "rules"),
    ],
)
def test_reports_of_lists_made_otherwise_are_refused(key: str, value: object, named: str, tmp_path: Path) -> None:
    write(tmp_path, "bert", 0.1)
    write(tmp_path, "mf", 0.1, **{key: value})
    with pytest.raises(InputError, match=f"mf and bert differ in {named}: score both alike again"):
        compare.read_reports(tmp_path)


def test_lists_before_re_ranking_are_of_their_model_alone(tmp_path: Path, capsys) -> None:
    for name, before in (("bert", 0.2), ("mf", 0.4)):
        columns = {"random": metrics(0.01), "not re-ranked": metrics(before), name: metrics(0.1)}
        write(tmp_path, name, 0.1, metrics=columns, variety={"most_per": "brand=1"})
    compare.main([f"--artifacts={tmp_path}"])
    said = capsys.readouterr().out
    assert "bert, not re-ranked" in said and "mf, not re-ranked" in said
    assert "20.00 [10.00, 40.00]" in said and "40.00 [20.00, 80.00]" in said


def test_a_model_called_as_a_baseline_does_not_stand_in_its_column(tmp_path: Path, capsys) -> None:
    write(tmp_path, "bert", 0.1)
    columns = {"random": metrics(0.01), "popularity": metrics(0.02), "popularity.onnx": metrics(0.5)}
    write(tmp_path, "popularity", 0.5, metrics=columns)
    compare.main([f"--artifacts={tmp_path}"])
    _, names, hit, *_ = capsys.readouterr().out.splitlines()
    assert names.split() == ["random", "popularity", "bert", "popularity.onnx"]
    assert re.findall(r"(\d+\.\d\d) \[", hit) == ["1.00", "2.00", "10.00", "50.00"]


@pytest.mark.parametrize(
    "changed",
    [{"metrics": None}, {"metrics": []}, {"options": []}, {"metrics": {"bert": 7}}, {"metrics": {"bert": {"a": {}}}}],
)
def test_what_is_no_report_is_one_line(changed: dict, tmp_path: Path) -> None:
    write(tmp_path, "bert", 0.1, **changed)
    if changed == {"options": []}:  # as good as none
        assert list(compare.read_reports(tmp_path)) == ["bert"]
        return
    with pytest.raises(InputError, match=r"bert\.metrics\.json holds no report: score that model again"):
        compare.read_reports(tmp_path)


def test_reports_that_say_nothing_of_what_they_measured_or_are_cut_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "bert", 0.1, protocol=None)
    with pytest.raises(InputError, match="differ in protocol"):
        compare.read_reports(tmp_path)
    (tmp_path / "bert.metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"bert\.metrics\.json is not valid JSON: score that model again"):
        compare.read_reports(tmp_path)

"""The command: a folder of models, items, page and packages, or one line and nothing."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import export.web.bundle
from export.web.bundle import SOURCES, WebOptions, bundle
from export.web.catalogue import several_tables
from export.web.runtime import PAGE
from infer.errors import InputError
from infer.model.session import open_model
from tests.helpers.nights import tree
from tests.helpers.page import stand_in

Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def words(models: Path, tmp_path: Path) -> list[str]:
    """What the command is called with: hybrid alone, packages that no browser runs."""
    packages = stand_in(tmp_path / "packages")
    return [f"--model={models / 'hybrid.onnx'}", f"--output={tmp_path / 'web'}", f"--runtime={packages}"]


def catalogue(output: Path) -> dict:
    (path,) = output.glob("*/catalogue.json")
    return json.loads(path.read_text())


def test_it_writes_a_folder_and_says_how_large_it_is(run: Run, words: list[str], tmp_path: Path) -> None:
    done = run("export.web", *words)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    output = tmp_path / "web"
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file() and path.name != "index.html")
    assert lines[-2].startswith(f"{output}: {size / 1e6:.1f} MB (hybrid ") and ", items 0.0 MB, runtime " in lines[-2]
    assert lines[-1] == f"show it with: python -m http.server --directory {output}"
    (version,) = [path for path in output.iterdir() if path.is_dir()]
    about = json.loads((version / "recommender.json").read_text())
    assert about["files"] == {
        path.relative_to(version).as_posix(): path.stat().st_size
        for path in version.rglob("*")
        if path.suffix in (".json", ".onnx", ".bin", ".wasm") and path.name != "recommender.json"
    }
    assert about["models"] == [{"name": "hybrid", "label": "Hybrid", "places": None, "repeats": False}]
    before = tree(output)
    assert run("export.web", *words).returncode == 0
    assert tree(output) == before  # the same again is the same, byte by byte


def test_items_have_their_titles_categories_and_words(run: Run, words: list[str], tmp_path: Path, models: Path) -> None:
    table = pl.DataFrame(
        {
            "movieId": [1001, 1002, 9999],
            "title": ["<b>&amp;", "Zwei", "Unknown to the model"],
            "genres": ["Drama|Comedy", "(no genres listed)", "War"],
        }
    )
    table.write_csv(tmp_path / "movies.csv")
    assert run("export.web", *words, f"--items={tmp_path / 'movies.csv'}", "--title=A <i> & b").returncode == 0
    found = catalogue(tmp_path / "web")
    assert found["ids"] == [str(item) for item in range(1001, 1025)]
    assert found["titles"] == ["<b>&amp;", "Zwei", *[None] * 22]
    assert found["categories"] == ["Comedy", "Drama"] and found["of"][:3] == [[1, 0], [], []]
    assert found["words"]["many"] == "films" and found["words"]["chosen"] == "watched"
    counts = pl.read_parquet(models / "interactions.parquet").group_by("item").len()
    first = counts.sort("len", "item", descending=[True, False])["item"].to_list()
    assert [int(found["ids"][place]) for place in found["popular"]] == first
    text = (tmp_path / "web" / "index.html").read_text()
    assert text.count("<title>A &lt;i&gt; &amp; b</title>") == 1 and "{" not in text
    assert run("export.web", *words, "--words=items").returncode == 0
    assert catalogue(tmp_path / "web")["words"]["many"] == "items"


def test_several_models_share_one_catalogue(web: Path) -> None:
    (about,) = web.glob("*/recommender.json")
    found = json.loads(about.read_text())["models"]
    assert [each["label"] for each in found] == ["Matrix factorisation", "Hybrid"]


def test_models_of_several_tables_are_named_since_their_ids_may_mean_other_items(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [open_model(models / f"{name}.onnx", threads=1) for name in ("mf", "hybrid")]
    assert several_tables(found) == ""
    other = replace(found[1], metadata=replace(found[1].metadata, dataset="toys.csv", dataset_checksum="0"))
    assert several_tables([found[0], other]) == (
        f"trained on several tables: mf.onnx on {found[0].metadata.dataset}, hybrid.onnx on toys.csv; items with the "
        "same id are one item on the page"
    )
    monkeypatch.setattr(export.web.bundle, "several_tables", lambda found: f"{len(found)} tables")
    options = WebOptions(runtime=stand_in(tmp_path / "packages"))
    assert bundle([models / "hybrid.onnx"], tmp_path / "web", options).said == ["1 tables"]


def test_without_titles_it_says_so_and_items_are_called_by_their_ids(
    run: Run, models: Path, words: list[str], tmp_path
) -> None:
    shutil.copy(models / "hybrid.onnx", tmp_path)
    done = run("export.web", f"--model={tmp_path / 'hybrid.onnx'}", *words[1:])
    assert done.returncode == 0 and "no titles: " in done.stdout
    found = catalogue(tmp_path / "web")
    assert set(found["titles"]) == {None} and found["categories"] == [] and found["popular"] == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("--model={models}/none.onnx", "none.onnx does not exist"),
        ("--model={models}/hybrid.onnx,{models}/hybrid.onnx", "two models are called hybrid"),
        ("--model={artifacts}/mf.onnx", "mf.onnx cannot be asked by a history"),
        ("--items={models}/none.csv", "none.csv does not exist"),
        ("--items={models}/other.csv", "knows no item of the model"),
        ("--runtime={models}", "holds no onnxruntime-web"),
        ("--output={models}", "was not written by this command"),
        ("--precision=int9", "--precision is one of fp32, int8, fp16, auto"),
        ("--k=0", "--k"),
    ],
)
def test_bad_input_is_one_line_and_an_earlier_page_stays(
    run: Run, refused, words: list[str], models: Path, artifacts: Path, tmp_path: Path, change: str, line: str
) -> None:
    pl.DataFrame({"item": [1, 2], "title": ["a", "b"]}).write_csv(models / "other.csv")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text((PAGE / "index.html").read_text())
    before = tree(tmp_path / "web")
    option = change.format(models=models, artifacts=artifacts)
    name = option.partition("=")[0]
    refused(run("export.web", *[w for w in words if not w.startswith(f"{name}=")], option), line)
    assert tree(tmp_path / "web") == before


@pytest.mark.parametrize(
    ("model", "items", "line"),
    [
        ("{models}/hybrid.onnx", "{models}/other.csv", "knows no item of the model"),
        ("{models}/hybrid.onnx,{artifacts}/mf.onnx", "{models}/items.parquet", "mf.onnx cannot be asked by a history"),
    ],
)
def test_what_cannot_be_used_is_refused_before_packages_are_fetched_and_models_made(
    monkeypatch: pytest.MonkeyPatch, models: Path, artifacts: Path, tmp_path: Path, model: str, items: str, line: str
) -> None:
    pl.DataFrame({"item": [1, 2], "title": ["a", "b"]}).write_csv(models / "other.csv")
    for name in ("runtime", "shipped"):
        monkeypatch.setattr(export.web.bundle, name, lambda *_, name=name: pytest.fail(f"{name} was asked"))
    places = {"models": models, "artifacts": artifacts}
    paths = [Path(path) for path in model.format(**places).split(",")]
    with pytest.raises(InputError, match=line):
        bundle(paths, tmp_path / "web", WebOptions(Path(items.format(**places))))
    assert not (tmp_path / "web").exists()


def test_every_source_of_the_page_is_shipped_and_every_import_leads_to_one() -> None:
    there = {path.name for path in PAGE.iterdir()}
    assert there == {*SOURCES, "index.html", "package.json", "package-lock.json"}
    for path in PAGE.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text()):
            assert name in there or name.startswith("vendor/"), f"{path.name} imports {name}"
    page = (PAGE / "index.html").read_text()
    assert "<style" not in page and " style=" not in page and " onclick=" not in page
    assert re.findall(r"<script(?! src=| type=\"module\" src=)", page) == []
    assert "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'" in page

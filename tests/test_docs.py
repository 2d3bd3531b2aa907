"""README and docs: every command and example runs, in the order in which it stands; every link leads somewhere.

Not run here are commands that install something, and those that have tests of their own because they take minutes.
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers.checkerboard import ROOT
from tests.helpers.documents import DOCUMENTS, Example, anchors, examples, links, recipe, shell, write_tables
from train.kinds import KINDS
from train.presets import PRESETS

ELSEWHERE = (
    "python3 -m venv", ". .venv/", "pip install", "pre-commit install",  # .ci/run installs
    "pytest",  # this is it
    "just train-all",  # the fixture `films`
    "just study", "python -m bench.study",  # tests/bench/study
    "python -m bench.floor",  # tests/bench/test_floor.py
)  # fmt: skip
# What a document expects to be there: what README's first command leaves, or nothing but the tables.
TRAINED = (
    "README.md",
    "docs/cookbook.md",
    "docs/operations.md",
    "docs/python.md",
    "docs/model-file.md",
    "docs/runtimes.md",
    "docs/evaluation.md",
    "docs/benchmarks.md",
    "docs/tables.md",
    "docs/delivery.md",
)
# Libraries that a document's examples need and not everybody has.
NEEDED = {"docs/runtimes.md": ("mlflow", "huggingface_hub", "openvino")}
Run = Callable[..., subprocess.CompletedProcess]


def ran_elsewhere(example: Example) -> bool:
    return example.language == "sh" and example.text.startswith(ELSEWHERE)


def run_example(example: Example, run: Run, folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = example.argv if example.language == "sh" else []
    if ran_elsewhere(example):
        return
    if example.language == "python":
        monkeypatch.chdir(folder)
        exec(compile(example.text, str(example), "exec"), {"__name__": "example"})
        return
    # Recipes are expanded by just, and their commands run here: eight new processes would take longer than their work.
    commands = recipe(words, folder) if words[:1] == ["just"] and len(words) > 1 else [words]
    for command in commands:
        if command[:2] == ["python", "-m"] and ">" not in command:
            done = run(*command[2:], cwd=folder, RECOMMENDER_DATA=str(data))
            assert done.returncode == 0, f"{example}\n{done.stdout}\n{done.stderr}"
        else:
            shell(command if command[0] == "just" else ["bash", "-c", example.text], folder, data)


@pytest.fixture
def few_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are trained with for two epochs; as many as by default only README's first, in `films`."""
    for kind in ("mf", "bert", "hybrid"):
        monkeypatch.setitem(KINDS[kind].values, "epochs", 2)
    for preset in PRESETS.values():
        if "bert" in preset:
            monkeypatch.setitem(preset["bert"], "epochs", 2)


@pytest.fixture
def many_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few items are in 32 cells, all of which may be searched, so that no list is worse than with all items."""
    monkeypatch.setattr("export.cells.cells.LARGEST", 4)
    for module in ("probing", "searching"):
        monkeypatch.setattr(f"export.cells.{module}.CELLS", 1)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_and_example_runs(
    document: str, run: Run, film_data: Path, few_epochs, many_cells, tmp_path: Path, request, monkeypatch
) -> None:
    for library in NEEDED.get(document, ()):
        if find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    folder = tmp_path / "clone"
    if document in TRAINED:
        shutil.copytree(request.getfixturevalue("films"), folder, symlinks=True)
    else:
        folder.mkdir()
        write_tables(folder)
    if document == "docs/training.md":
        shell(["just", "data"], folder, film_data)
    if document == "docs/benchmarks.md":
        shutil.copytree(ROOT / "bench" / "results", folder / "bench" / "results")
        shutil.copy(ROOT / "bench" / "results" / "run-cpu-2-cores.json", folder / "run.json")
    for example in examples(document):
        run_example(example, run, folder, film_data, monkeypatch)


def test_the_documents_have_examples_and_few_are_run_elsewhere() -> None:
    found = [example for document in DOCUMENTS for example in examples(document)]
    assert len(found) > 40
    assert sum(map(ran_elsewhere, found)) <= 17


@pytest.mark.parametrize("document", [*DOCUMENTS, "SECURITY.md", "CHANGELOG.md"])
def test_every_link_leads_somewhere(document: str) -> None:
    for path, anchor in links(document):
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_every_file_that_a_document_names_is_there() -> None:
    for document in (*DOCUMENTS, "SECURITY.md"):
        named = re.findall(r"\b((?:tests|infer|train|export|bench)/[\w./-]*\w)", (ROOT / document).read_text())
        missing = [name for name in named if not (ROOT / name).exists()]
        assert not missing, f"{document}: {missing}"


def test_every_document_is_linked_from_the_readme() -> None:
    linked = {path for path, _ in links("README.md")}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").iterdir()} <= linked

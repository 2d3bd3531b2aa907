"""Rules that hold for every file: who prints, who reads the command line, and what is checked where."""

import ast
import re
from pathlib import Path

import pytest

from tests.helpers.checkerboard import ROOT

PACKAGES = ("infer", "train", "export", "bench")


def is_command(tree: ast.Module) -> bool:
    """Whether a module has a `main`, and with it a command line and output of its own."""
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)


def libraries() -> list[Path]:
    """Every module of the packages that is neither a command, nor the command line itself, nor a benchmark."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    found = [path for path in files if (ROOT / "infer" / "cli") not in path.parents]
    found = [path for path in found if not path.name.startswith(("test_", "conftest"))]
    return [path for path in found if not is_command(ast.parse(path.read_text()))]


def printing(tree: ast.Module) -> list[int]:
    """Lines that call print."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return [node.lineno for node in calls if node.func.id == "print"]


def command_line(tree: ast.Module) -> set[str]:
    """What a module imports of infer.cli, by name; `*` for the whole."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {"*" for alias in node.names if alias.name.startswith("infer.cli")}
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            if node.module.startswith("infer.cli"):
                names |= {alias.name for alias in node.names}
            if node.module == "infer":
                names |= {"*" for alias in node.names if alias.name == "cli"}
    return names


def in_the_locale(tree: ast.Module) -> list[int]:
    """Lines that read or write text in whatever encoding the locale has."""
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and _opens_text(node)]


def _opens_text(call: ast.Call) -> bool:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in named:
        return False
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("read_text", "write_text"):
        return True
    if isinstance(call.func, ast.Name) and call.func.id == "open":
        given = call.args[1:2]
    elif isinstance(call.func, ast.Attribute) and call.func.attr == "open":
        given = call.args[:1]  # of a path; those of `os` and of archives take something else first
    else:
        return False
    mode = named.get("mode", given[0] if given else ast.Constant("r"))
    return isinstance(mode, ast.Constant) and "b" not in mode.value


def test_libraries_are_found() -> None:
    found = {str(path.relative_to(ROOT)) for path in libraries()}
    assert {"infer/scoring/run.py", "train/trainer.py", "export/exporter.py", "bench/study/study.py"} <= found
    assert not {"infer/batch.py", "train/__main__.py", "train/command.py", "infer/cli/running.py"} & found
    assert len(found) > 80


@pytest.mark.parametrize("path", libraries(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_prints_nothing_and_takes_only_options_from_the_command_line(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not printing(tree), "use logging: commands show it"
    assert command_line(tree) <= {"option"}


def test_commands_that_tell_of_tables_and_reports_print_what_steers_no_terminal() -> None:
    folders = ("infer", "train", "export", "bench/study", "bench/curves", "bench/report")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if path.parent.name != "cli"]
    found = {str(path.relative_to(ROOT)): printing(ast.parse(path.read_text())) for path in files}
    assert not {path: lines for path, lines in found.items() if lines}, "say it: infer.cli"


@pytest.mark.parametrize("package", PACKAGES)
def test_text_has_an_encoding_of_its_own(package: str) -> None:
    found = {path: in_the_locale(ast.parse(path.read_text())) for path in sorted((ROOT / package).rglob("*.py"))}
    assert len(found) > 20 and not {path: lines for path, lines in found.items() if lines}


def test_text_in_the_encoding_of_the_locale_is_seen() -> None:
    broken = ("p.read_text()", "p.write_text('x')", "open(p)", "open(p, 'w')", "p.open()", "p.open(mode='a')")
    fine = ("p.read_text(encoding='ascii')", "p.write_text('x', encoding='utf-8')", "write_text(p, 'x')")
    fine += ("open(p, 'rb')", "p.open('wb')", "open(p, mode='r+b')", "os.open(p, os.O_RDWR)", "archive.open(name)")
    assert all(in_the_locale(ast.parse(line)) == [1] for line in broken)
    assert not any(in_the_locale(ast.parse(line)) for line in fine)


@pytest.mark.parametrize(
    ("source", "lines", "names"),
    [
        ("def f():\n    print(1)", [2], set()),
        ("log.print(1)\nprinted(1)", [], set()),
        ("from infer.cli import option, parse", [], {"option", "parse"}),
        ("from infer.cli.running import printable", [], {"printable"}),
        ("import infer.cli", [], {"*"}),
        ("from infer import cli", [], {"*"}),
        ("from infer.errors import InputError", [], set()),
    ],
)
def test_what_breaks_the_rules_is_seen(source: str, lines: list[int], names: set[str]) -> None:
    tree = ast.parse(source)
    assert printing(tree) == lines and command_line(tree) == names


def test_before_a_commit_the_same_is_checked_as_by_just_lint_and_in_ci() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    recipe = re.search(r"^lint:\n((?:    .+\n)+)", (ROOT / "justfile").read_text(), re.MULTILINE)
    assert [line.strip() for line in recipe[1].splitlines()] == re.findall("entry: (.+)", hooks)
    assert hooks.count("language: system") == hooks.count("pass_filenames: false") == hooks.count("- id:") == 3
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "just lint"

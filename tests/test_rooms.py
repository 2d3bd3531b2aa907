"""The rooms of the house: imports go one way, without a cycle; tests mirror the packages and import no other test."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.checkerboard import ROOT

PACKAGES = ("infer", "train", "export", "bench")  # each may import those before it
# Rooms of infer, each of which may import those before it.
ROOMS = (
    "errors",
    "system",
    "cli",
    "formats",
    "tables",
    "sources",
    "histories",
    "model",
    "candidates",
    "metrics",
    "publishing",
    "delivery",
    "scoring",
    "cluster",
    "serving",
)
TORCH = {"torch", "onnxscript", "train", "export", "bench", "tests"}
CODE = (".py", ".js")


def modules(folder: Path, root: Path = ROOT) -> dict[str, Path]:
    """Dotted names of the modules below a folder, and their files."""
    paths = (path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(path: Path, everywhere: bool = True) -> Iterator[str]:
    """Dotted names that a file imports; with everywhere=False not those inside functions."""
    tree = ast.parse(path.read_bytes())
    nodes = list(ast.walk(tree)) if everywhere else list(_at_import(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _at_import(child)


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Names along a cycle, or nothing."""
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph[name]):
            found = visit(other, [*trail, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := visit(name, []))), [])


def room(name: str) -> str:
    """The part of infer that a module belongs to."""
    return name.removeprefix("infer").strip(".").partition(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_those_before_them(package: str) -> None:
    allowed = PACKAGES[: PACKAGES.index(package) + 1]
    for name, path in modules(ROOT / package).items():
        for imported in imports(path):
            top = imported.partition(".")[0]
            assert top not in {*PACKAGES, "tests"} or top in allowed, f"{name} imports {imported}"
            assert package != "infer" or top not in TORCH, f"{name} imports {imported}"


def test_rooms_of_infer_import_only_those_below_them() -> None:
    for name, path in modules(ROOT / "infer").items():
        here = room(name)
        if path.parent == ROOT / "infer" and here not in ROOMS:  # commands and the public names stand on top
            continue
        assert here in ROOMS, f"{name} is in no room: name it in ROOMS"
        for imported in imports(path):
            if imported.startswith("infer.") and room(imported) != here:
                assert room(imported) in ROOMS[: ROOMS.index(here)], f"{name} imports {imported}"


def test_no_imports_run_in_a_circle() -> None:
    names = {name: path for package in PACKAGES for name, path in modules(ROOT / package).items()}
    graph = {name: {i for i in imports(path, everywhere=False) if i in names} - {name} for name, path in names.items()}
    assert cycle(graph) == []


def test_a_circle_would_be_found() -> None:
    assert cycle({"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": set()}) == ["a", "b", "c", "a"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_imports_are_seen_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("import a.b\nif True:\n    from c import d\n\ndef f():\n    import e\n")
    assert list(imports(path)) == ["a.b", "c", "c.d", "e"]
    assert list(imports(path, everywhere=False)) == ["a.b", "c", "c.d"]


def test_every_folder_of_code_has_one_of_tests() -> None:
    for package in PACKAGES:
        for folder in [ROOT / package, *(ROOT / package).rglob("*")]:
            name = str(folder.relative_to(ROOT))
            if any(path.suffix in CODE for path in folder.glob("*")):
                assert list((ROOT / "tests" / name).glob("test_*.py")), f"tests/{name} has no tests of {name}"


def test_no_test_imports_another() -> None:
    for name, path in modules(ROOT / "tests").items():
        for imported in imports(path):
            if imported.startswith("tests."):
                assert imported.startswith(("tests.helpers", "tests.tools")), f"{name} imports {imported}"

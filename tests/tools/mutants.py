"""Break the code, one small fault at a time, and see whether the tests notice.

In: train, infer and export, and the tests. Out: OUTPUT/mutants.json, a row a fault: where, what, and whether a test
failed; the faults that nothing noticed are printed. A run that was stopped goes on where it was.

    python -m tests.tools.mutants --sample=400

First the tests run once under coverage, to know which of them reach which line. Then every fault of a seeded sample
is put into a copy of the project, and tests that reach its line run there until one fails: those that reach the
fewest lines first, for at most BUDGET seconds of their usual time. A fault that no such test noticed counts as
unnoticed, though one that was not run might.

Faults: comparisons, arithmetic and logical operators exchanged, numbers and truth values changed, conditions
negated, calls that stand alone left out, steps of a chain (`.sort()`, `.clamp(...)`) and named arguments left out,
minimum for maximum. Texts, types, messages of errors and what is printed are left alone.
"""

import ast
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

import pytest

from infer.cli import option, parse, run
from infer.errors import InputError

ROOT = Path(__file__).parents[2]
PACKAGES = ("infer", "train", "export")
BUDGET = 40.0  # seconds
COSTLY = 0.1  # seconds from which a shared fixture does work of the project's
HANGS = 300.0  # seconds: a fault that makes a loop endless was noticed
PRELOADED = [
    "torch", "torch.onnx", "onnxscript", "onnx", "onnxruntime", "polars", "scipy.sparse.linalg", "implicit.als",
    "hypothesis", "pytest", "pytest_benchmark.plugin", "pytest_cov.plugin", "ranx", "plotly",
]  # fmt: skip

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
STEPS = {
    "sort", "unique", "clamp", "abs", "clone", "copy", "detach", "fill_null", "filter", "drop_nulls", "cast",
    "round", "square", "sqrt", "log", "log1p", "exp", "floor", "ceil", "reverse", "normalize", "tocsr", "lower",
    "strip", "resolve", "cumsum", "flatten", "masked_fill", "with_columns", "drop",
}  # fmt: skip
OPPOSITES = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "floor": "ceil", "ceil": "floor",
    "any": "all", "all": "any", "argmin": "argmax", "argmax": "argmin",
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One fault: the bytes from start to stop of a file become `new`."""

    file: str
    line: int
    start: int
    stop: int
    old: str
    new: str
    names: tuple[str, ...]  # that the statement defines at import, by whose uses it is reached


def mutants(path: Path) -> Iterator[Mutant]:
    """Every fault that can be put into one file."""
    source = path.read_bytes()
    lines = [0]
    for line in source.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    tree = ast.parse(source)
    for statement in tree.body:
        yield from _within(statement, source, lines, str(path.relative_to(ROOT)), ())


def _within(node: ast.AST, source: bytes, lines: list[int], file: str, names: tuple[str, ...]) -> Iterator[Mutant]:
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = tuple(target.id for target in targets if isinstance(target, ast.Name))
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("print", "TypeVar"):
        return
    if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        return
    changes = [(node, new) for new in _changed(node)]
    if isinstance(node, ast.If | ast.While) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
        changes.append((node.test, f"(not ({ast.unparse(node.test)}))"))
    for part, new in changes:
        start, stop = lines[part.lineno - 1] + part.col_offset, lines[part.end_lineno - 1] + part.end_col_offset
        yield Mutant(file, part.lineno, start, stop, source[start:stop].decode(), new, names)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_comment", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not (name == "value" and isinstance(node, ast.FormattedValue)):
                yield from _within(child, source, lines, file, names)


def _changed(node: ast.AST) -> Iterator[str]:
    """What a node may become, as text."""

    def copy(**fields: object) -> str:
        return f"({ast.unparse(type(node)(**{name: getattr(node, name) for name in node._fields} | fields))})"

    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        yield copy(ops=[COMPARISONS[type(node.ops[0])]()])
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield copy(op=OPERATORS[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        yield copy(op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield str(node.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield str(node.value * 1.5 if node.value else 1.0)
    elif isinstance(node, ast.IfExp):
        yield copy(body=node.orelse, orelse=node.body)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "pass"
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in STEPS:
            yield f"({ast.unparse(node.func.value)})"
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in OPPOSITES:
            opposite = OPPOSITES[name]
            func = ast.Name(opposite) if isinstance(node.func, ast.Name) else ast.Attribute(node.func.value, opposite)
            yield copy(func=func)
        for number, keyword in enumerate(node.keywords):
            if keyword.arg is not None and name not in ("option", "field", "InputError"):
                yield copy(keywords=node.keywords[:number] + node.keywords[number + 1 :])
    elif isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        yield copy(op=OPERATORS[type(node.op)]())[1:-1]


class Reach:
    """Which tests reach which lines, and how long each takes; of what `cover` left in a folder."""

    def __init__(self, folder: Path) -> None:
        import coverage

        found = coverage.CoverageData(str(folder / "coverage"))
        found.read()
        self.about = json.loads((folder / "tests.json").read_text())
        sharing: dict[str, set[str]] = {}
        for test, about in self.about.items():
            for name in about["shared"]:
                sharing.setdefault(name, set()).add(test)
        self.lines: dict[str, dict[int, set[str]]] = {}
        self.size = dict.fromkeys(self.about, 0)  # lines that a test reaches
        for file in found.measured_files():
            own = self.lines.setdefault(str(Path(file).relative_to(folder / "whole")), {})
            for line, contexts in found.contexts_by_lineno(file).items():
                tests = own.setdefault(line, set())
                for context in contexts:
                    test, _, phase = context.partition("|")
                    tests |= {test} & self.about.keys()
                    if (
                        phase == "setup" and test in self.about
                    ):  # of a shared fixture: whoever uses it sees what it makes
                        tests |= {other for name in self.about[test]["shared"] for other in sharing[name]}
                for test in tests:
                    self.size[test] += 1
        self.uses: dict[str, set[tuple[str, int]]] = {}
        for path in files():
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                    name = node.id if isinstance(node, ast.Name) else node.attr
                    self.uses.setdefault(name, set()).add((str(path.relative_to(ROOT)), node.lineno))

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests to run: those that reach the line, or where what it defines is used, or else its file."""
        own = self.lines.get(mutant.file, {})
        found = set(own.get(mutant.line, set()))
        for name in mutant.names:
            for file, line in self.uses.get(name, ()):
                found |= self.lines.get(file, {}).get(line, set())
        found = found or set().union(*own.values())
        found |= {test for test in self.about if mirrors(Path(test.partition("::")[0]), Path(mutant.file))}
        chosen, seconds = {}, 0.0
        for place, test in enumerate(sorted(found, key=lambda t: (self.size[t], self.about[t]["seconds"]))):
            if seconds + self.about[test]["seconds"] <= BUDGET:
                chosen[test] = place
                seconds += self.about[test]["seconds"]
        first: dict[str, int] = {}
        for test, place in chosen.items():
            first.setdefault(test.partition("::")[0], place)
        # The tests of a file in a row, since they share fixtures.
        return sorted(chosen, key=lambda t: (first[t.partition("::")[0]], chosen[t]))


class Notes:
    """A plugin that notes how long every test takes and which costly fixtures it shares with others."""

    def __init__(self, path: Path) -> None:
        self.path, self.tests, self.costly, self.scopes = path, {}, set(), {}

    def pytest_collection_finish(self, session) -> None:
        for item in session.items:
            for name, definitions in item._fixtureinfo.name2fixturedefs.items():
                scope = definitions[-1].scope
                if scope != "function":
                    place = "" if scope == "session" else item.nodeid.partition("::")[0]
                    self.scopes.setdefault(item.nodeid, []).append(f"{name} {place}")
            self.tests[item.nodeid] = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        began = time.monotonic()
        result = yield
        if time.monotonic() - began > COSTLY:
            self.costly.add(fixturedef.argname)
        return result

    def pytest_runtest_logreport(self, report) -> None:
        if report.skipped or report.failed:
            self.tests.pop(report.nodeid, None)
        elif report.when == "call" and report.nodeid in self.tests:
            self.tests[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        found = {
            test: {
                "seconds": seconds,
                "shared": [name for name in self.scopes.get(test, []) if name.split()[0] in self.costly],
            }
            for test, seconds in self.tests.items()
        }
        self.path.write_text(json.dumps(found))


def mirrors(test: Path, module: Path) -> bool:
    """Whether a file of tests lies in the folder of the module's and names it."""
    return test.parent == Path("tests") / module.parent and module.stem.strip("_") in test.stem


def files() -> list[Path]:
    """The modules that are broken."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def cover(folder: Path) -> None:
    """Run all tests once, in a copy, and note what each reaches."""
    whole = copied(folder / "whole")
    include = "".join(f"\n    {whole / package}/*" for package in PACKAGES)
    (folder / "coveragerc").write_text(f"[run]\ndata_file = {folder / 'coverage'}\ninclude = {include}\n")
    words = ["--cov", "--cov-context=test", "--cov-report=", f"--cov-config={folder / 'coveragerc'}", "tests"]
    print(f"running all tests under coverage; {whole / 'log'} shows how far they are", flush=True)
    child = multiprocessing.get_context("forkserver").Process(target=_child, args=(whole, words, folder / "tests.json"))
    child.start()
    child.join()
    if child.exitcode:
        raise InputError(f"tests fail without any fault, see {whole / 'log'}: mend them first")


def _child(folder: Path, words: list[str], notes: Path | None = None) -> None:
    """Run tests in a copy; the exit status says how they went."""
    os.chdir(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] in (*PACKAGES, "bench", "tests")]:
        del sys.modules[name]  # this command's own, of the project without faults
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.path[:] = [str(folder), *(path for path in sys.path if path and Path(path) != ROOT)]
    sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
    more = ["-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--basetemp={folder / 'tmp'}"]
    status = pytest.main([*more, *words], [] if notes is None else [Notes(notes)])
    sys.stdout.flush()
    os._exit(int(status))


def notice(mutant: Mutant, tests: list[str], folder: Path) -> str:
    """How tests ended with the fault in a copy of the project: failed, hung, or passed."""
    path = folder / mutant.file
    whole = path.read_bytes()
    path.write_bytes(whole[: mutant.start] + mutant.new.encode() + whole[mutant.stop :])
    context = multiprocessing.get_context("forkserver")
    child = context.Process(target=_child, args=(folder, ["-x", *tests]))
    try:
        child.start()
        child.join(HANGS)
        hung = child.is_alive()
        if hung:
            child.kill()
            child.join()
        return "hung" if hung else "passed" if child.exitcode == 0 else "failed"
    finally:
        path.write_bytes(whole)


def copied(target: Path) -> Path:
    """The project's files in a folder of their own."""
    shutil.rmtree(target, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command."""

    sample: int = option(400, "faults, drawn from all that can be made", minimum=1)
    seed: int = option(0, "seed of the draw", minimum=0)
    jobs: int = option(2, "faults tried at once", minimum=1)
    again: bool = option(False, "try those again that nothing noticed, after tests were added")
    output: Path = option(ROOT / "build" / "mutants", "folder to write to; without it all tests run first")


def main(words: list[str]) -> None:
    """Parse, draw, try, print."""
    config = parse(Options, words, __doc__)
    folder = config.output.resolve()
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    if not (folder / "tests.json").is_file():
        cover(folder)
    reach, everything = Reach(folder), [mutant for path in files() for mutant in mutants(path)]
    chosen = random.Random(config.seed).sample(everything, min(config.sample, len(everything)))
    path, rows, lock = folder / "mutants.json", {}, Lock()
    if path.is_file():
        rows = {(row["file"], row["line"], row["old"], row["new"]): row for row in json.loads(path.read_text())}
    wanted = [m for m in chosen if rows.get((m.file, m.line, m.old, m.new), {}).get("end", "passed") == "passed"]
    if not config.again:
        wanted = [m for m in chosen if (m.file, m.line, m.old, m.new) not in rows]
    places = [copied(folder / f"copy-{number}") for number in range(config.jobs)]
    began, done = time.monotonic(), 0

    def judge(mutant: Mutant) -> None:
        nonlocal done
        with lock:
            place = places.pop()
        tests = reach.tests(mutant)
        started = time.monotonic()
        end = notice(mutant, tests, place) if tests else "passed"
        with lock:
            places.append(place)
            row = asdict(mutant) | {"end": end, "tests": len(tests), "seconds": round(time.monotonic() - started, 1)}
            rows[mutant.file, mutant.line, mutant.old, mutant.new] = row
            path.write_text(json.dumps(list(rows.values()), indent=1))
            done += 1
            left = (time.monotonic() - began) / done * (len(wanted) - done) / 60
            print(f"[{done}/{len(wanted)}, {left:.0f} min left] {end} {mutant.file}:{mutant.line}", flush=True)

    with ThreadPoolExecutor(config.jobs) as pool:
        list(pool.map(judge, wanted))
    found = [rows[m.file, m.line, m.old, m.new] for m in chosen]
    unnoticed = [row for row in found if row["end"] == "passed"]
    for row in sorted(unnoticed, key=lambda row: (row["file"], row["line"])):
        print(f"{row['file']}:{row['line']}: {row['old'][:100]!r} -> {row['new'][:100]!r} ({row['tests']} tests)")
    print(f"{len(found)} faults of {len(everything)}, {len(unnoticed)} unnoticed ({len(unnoticed) / len(found):.1%})")


if __name__ == "__main__":
    raise SystemExit(run(main))

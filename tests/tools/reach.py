"""Which tests reach which lines, so that only they need to run for a fault there.

In: a folder with the coverage of all tests, by test, and what the plugin `Notes` wrote of them to tests.json. Out:
the tests to run for a fault, those that reach the fewest lines first.

    Reach(Path("build/mutants")).tests(mutant)
"""

import ast
import json
import time
from pathlib import Path

import pytest

from tests.tools.mutations import ROOT, Mutant, files

BUDGET = 40.0  # seconds of a fault's tests
COSTLY = 0.1  # seconds from which a shared fixture does work of the project's


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

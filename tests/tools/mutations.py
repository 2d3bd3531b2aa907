"""The small faults that can be put into a file of Python, one at a time.

In: a file. Out: a `Mutant` for each fault: where, what, and what it becomes.

    next(mutants(ROOT / "infer" / "metrics" / "intervals.py"))

Faults: comparisons, arithmetic and logical operators exchanged, numbers and truth values changed, conditions
negated, calls that stand alone left out, steps of a chain (`.sort()`, `.clamp(...)`) and named arguments left out,
minimum for maximum. Texts, types, messages of errors and what is printed are left alone.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("infer", "train", "export")
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


def files() -> list[Path]:
    """The modules that are broken."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


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

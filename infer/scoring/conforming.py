"""How a table is read for a model: by the rules and in the types of ids that it was trained with.

In: a model, and how its user says the table is read. Out: how it is read, and what is said of that.

    options_for(open_model("hybrid.onnx"), Path("tonight.csv"), TableOptions(), own=False)
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from infer.errors import InputError
from infer.formats.layout import shown
from infer.formats.opening import is_parquet
from infer.model.session import Model
from infer.model.signature import USER_INPUT
from infer.tables.columns import PROTOCOL_KEY, SPLIT, TIMESTAMP, guessed
from infer.tables.events import named_in
from infer.tables.ids import Known
from infer.tables.interactions import column_names
from infer.tables.options import TableOptions
from infer.tables.rules import rules_in, told, with_rules

ID_TYPES = {"Int64": pl.Int64(), "String": pl.String()}


def known_of(model: Model) -> Known:
    """The types of the ids that a model knows."""
    user, item = (ID_TYPES[kind] for kind in (model.metadata.user_type, model.metadata.item_type))
    return Known(user, item, USER_INPUT in model.inputs)


def ruled(
    model: Model, options: TableOptions, names: list[str], table: Path, made: dict[str, Any] | None = None
) -> tuple[TableOptions, tuple[str, ...]]:
    """The options with the rules that the model was trained with, and what is said of that.

    names: of the table's columns.  made: the rules by which the table was made, if it is one of ours.
    Raises InputError if a rule of the model, which the options do not state, is of a column that the table lacks, or
    where is no SQL.
    """
    found = with_rules(options, model.metadata.rules, made)
    whose = "--where" if options.where is not None else f"{model.path.name}'s --where"
    columns = [] if found.where is None else named_in(found.where, whose)
    for rule, used, otherwise in (
        ("where", columns, "say with --where which rows count, --where=true all"),
        ("event", [found.event] if found.event else [], "name it with --event-column"),
    ):
        lacking = next((name for name in used if name not in names), None)
        if lacking is not None and getattr(options, rule) is None:
            raise InputError(
                f"{table} has no column '{lacking}', by which {model.path.name} counts rows, as it was trained "
                f"({getattr(found, rule)}); its columns: {shown(names)}; {otherwise}"
            )
    said = "" if made is not None else told(found, options, model.path.name)
    return found, (said,) if said else ()


def options_for(model: Model, table: Path, options: TableOptions, own: bool) -> tuple[TableOptions, tuple[str, ...]]:
    """`ruled`, for a table on disk: one of ours says itself what is held out; without windows none needs times.

    own: whether the model was trained on it.
    """
    ours, names = about(table), column_names(table, options)
    found, said = ruled(model, options, names, table, model.metadata.rules if own else rules_in(ours))
    if (own or PROTOCOL_KEY in ours) and found.split is None and SPLIT in names:
        found = replace(found, split=SPLIT)
    return untimed(model, names, found), said


def untimed(model: Model, names: list[str], options: TableOptions) -> TableOptions:
    """The options without an order in time, where the model reads no windows and no column has times."""
    timed = options.timestamp is not None or guessed(names, TIMESTAMP) is not None
    if not model.metadata.window and options.order == "time" and not timed:
        return replace(options, order="none")
    return options


def about(table: Path) -> dict[str, str]:
    """What `python -m train.data` wrote into the file; other tables say nothing of themselves."""
    return {} if table.is_dir() or not is_parquet(table) else pl.read_parquet_metadata(table)

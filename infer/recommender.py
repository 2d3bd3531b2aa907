"""Recommendations in Python: what `import infer` gives.

In: a model file written by `python -m export`, and a history, a data frame or the path of a table. Out: data frames of
Polars.

    python -c "import infer; print(infer.load('hybrid.onnx').recommend([1, 50, 260], k=5))"

Paths and data frames of interactions are read alike. Options name the columns that are called otherwise than usual
(`user=`, `item=`, `timestamp=`, `rating=`) and say how the table is read, as those of the commands do
(`infer.arguments.TableArguments`): `order="rows"` says that rows are oldest first and have no time,
`drop_bad_rows=True` leaves out rows that cannot be used, which else are refused.
Whatever cannot be used raises InputError, whose message is one line.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import polars as pl

from infer.arguments import (
    TableArguments,
    ids_of,
    in_words_of_python,
    is_history,
    table_options,
    texts_of,
    whole_number,
)
from infer.candidates.options import CandidateOptions
from infer.errors import InputError
from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD, index_of
from infer.model.metadata import Metadata
from infer.model.session import PROVIDERS, Model, open_model
from infer.model.signature import USER_INPUT
from infer.model.vectors import item_vectors
from infer.scoring.job import Job, kind_of, rows_job
from infer.scoring.lists import model_lists
from infer.scoring.reasons import with_reasons
from infer.scoring.similar import Similar, open_similar
from infer.scoring.task import Task
from infer.scoring.whole import evaluated, lists_by_part, open_table
from infer.sources.source import Source, select_users
from infer.system.addresses import place
from infer.system.progress import no_progress
from infer.tables.columns import ITEM, TEST, USER, VALIDATION
from infer.tables.rules import KEEP


def load(path: str | Path, *, device: str = "cpu", threads: int = 0) -> "Recommender":
    """Open a model file; looked for as given, then in artifacts/.

    device: "cpu" or "cuda"; fails if it is unavailable.  threads: of ONNX Runtime; 0 means one for each core.
    Raises InputError if the file is none of this project's, damaged or hostile, or the device is not there.
    """
    if not isinstance(path, str | Path):
        raise InputError(f"expected the path of a model file; found a {type(path).__name__}")
    if device not in PROVIDERS:
        raise InputError(f"device is one of {', '.join(PROVIDERS)}; found {device!r}")
    with in_words_of_python():
        return Recommender(open_model(path, device, whole_number(threads, "threads", 0)))


class Recommender:
    """An open model. Threads may share one."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def __repr__(self) -> str:
        return f"<{self.metadata.kind} recommender of {self.model.path}>"

    @property
    def metadata(self) -> Metadata:
        """What the file says of itself: kind, item ids, data set, training configuration and more."""
        return self.model.metadata

    def recommend(
        self, history: Any, k: int = 10, *, users: Any = None, reasons: int = 0, **options: Unpack[TableArguments]
    ) -> pl.DataFrame:
        """The best k items that are not in the history, best first.

        history: item ids of one person, oldest first (list, tuple, array or series) -> (rank, item, score); or a data
        frame or path of interactions -> (user, rank, item, score) from everybody's whole history.
        users: of a table, only these: an id or several.  reasons: of one history, a column `because` lists at most so
        many of its items, those that raised the score most.
        Raises InputError if nothing in a single history is known to the model; of tables, such users are left out.
        """
        number = whole_number(reasons, "reasons", 0)
        if not is_history(history):
            if number:
                raise InputError("reasons are of one history; found a table: give the ids of each user's items")
            return self.score(history, k, split=None, users=users, **options)
        if options or users is not None:
            name = next(iter(options), "users")
            raise InputError(f"{name} is an option of tables; found it beside a list of item ids")
        with in_words_of_python(), no_progress():
            return self._recommend_to_one(ids_of(history), whole_number(k, "k", 1), number)

    def score(
        self,
        table: Any = None,
        k: int = 10,
        *,
        split: str | None = TEST,
        users: Any = None,
        batch_size: int = 256,
        **options: Unpack[TableArguments],
    ) -> pl.DataFrame:
        """(user, rank, item, score) for all users, or `users`: to the digit what `python -m infer.batch` writes.

        table: a data frame or path; None is the table that the model was trained on.  split: where the table holds
        items out, histories end before those of "test" or "validation"; None: whole histories.  batch_size: users
        scored at once, at most.  Users whom the model cannot personalise are left out.
        """
        k, batch_size = whole_number(k, "k", 1), whole_number(batch_size, "batch_size", 1)
        with self._opened(table, split, options) as (job, source):
            chosen = source if users is None else select_users(source, texts_of(users))
            return pl.concat(lists_by_part(job, chosen, k, batch_size))

    def evaluate(
        self,
        table: Any = None,
        k: int = 10,
        *,
        split: str = TEST,
        seed: int = 0,
        batch_size: int = 256,
        **options: Unpack[TableArguments],
    ) -> pl.DataFrame:
        """(model, metric, value, low, high) of the held-out items, with 95% intervals, as `python -m infer.batch`
        measures them: of "random" and "popularity", then of the model by its file's name.

        table: as for `score`, with a column `split`.  seed: of the random lists.
        """
        k, batch_size = whole_number(k, "k", 1), whole_number(batch_size, "batch_size", 1)
        if split is None:
            raise InputError(f"split is {TEST} or {VALIDATION}; found None, which holds nothing out to measure")
        with self._opened(table, split, options) as (job, source):
            return evaluated(job, source, k, batch_size, whole_number(seed, "seed", 0))

    def similar(
        self, item: int | str, k: int = 10, *, only_items: Any = None, exclude_items: Any = None,
        items_where: str | None = None,
    ) -> pl.DataFrame:  # fmt: skip
        """(rank, similar_item, score): the k items nearest to one, best first.

        The score is the cosine of item vectors, or of models without these what they recommend after this item alone.
        only_items, exclude_items: ids, a data frame or a path: items that may be listed, or not.  items_where: SQL
        that is true of those that may be.
        Raises InputError if the model does not know the item, or a rule cannot be used.
        """
        with in_words_of_python(), no_progress():
            rules = CandidateOptions(only_items=only_items, exclude_items=exclude_items, items_where=items_where)
            plain = only_items is None and exclude_items is None and items_where is None
            finder = self._similar if plain else open_similar(self.model, rules)
            index = index_of(ids_of([item]), finder.job.items)
            if index[0] == PAD:
                raise InputError(f"{self.model.path.name} does not know the item {item!r:.80}")
            return pl.concat(finder.tables(whole_number(k, "k", 1), index)).drop(ITEM)

    def item_vectors(self) -> pl.DataFrame:
        """(item, vector): each item's, whose product with a user's is the score; `metadata.vectors` names its parts.

        Raises InputError if the scores of the model are no products.
        """
        vectors = item_vectors(self.model)
        kind = pl.Array(pl.Float32, vectors.shape[1])
        return pl.DataFrame([self._job.items[ITEM], pl.Series("vector", vectors, dtype=kind)])

    @cached_property
    def _similar(self) -> Similar:
        return open_similar(self.model)

    @cached_property
    def _job(self) -> Job:
        return rows_job(self.model)

    @cached_property
    def _index(self) -> dict[int | str, int]:
        items: Sequence[int | str] = self.metadata.item_ids
        return {item: index for index, item in enumerate(items, PAD + 1)}

    def _recommend_to_one(self, ids: pl.Series, k: int, reasons: int = 0) -> pl.DataFrame:
        known, name, given = self._job.items.schema[ITEM], self.model.path.name, ids
        if ids.dtype != known:  # numbers are compared as texts, as those of tables are
            ids = ids.cast(pl.String) if known == pl.String else ids.cast(known, strict=False).drop_nulls()
            if len(given) and not any(item in self._index for item in ids):
                raise InputError(
                    f"the history has {kind_of(given.dtype)} as item ids; {name} knows {kind_of(known)}, none of these"
                )
        if USER_INPUT in self.model.inputs:
            raise InputError(f"{name} reads who a user is, which a list of items does not say; give a table of users")
        keeps = self.metadata.rules.get("repeats") == KEEP
        # Of an item that comes again the latest counts, as in tables, or all do.
        latest = ids.to_list() if keeps else reversed(dict.fromkeys(reversed(ids.to_list())))
        items = np.array([self._index[item] for item in latest if item in self._index], dtype=np.int32)
        if not len(items):
            raise InputError(f"{name} cannot recommend from this history: it knows none of its {len(ids)} items")
        levels = np.zeros(len(items), dtype=np.int64) if self.metadata.rating_levels else None
        histories = Histories(pl.Series(USER, [0]), items, np.array([0, len(items)]), levels=levels, repeats=keeps)
        task = Task(self._job, histories, np.array([PAD]), targets=None)
        lists = model_lists(task, k, batch_size=1)
        return (with_reasons(task, lists, reasons) if reasons else lists).drop(USER)

    @contextmanager
    def _opened(self, table: Any, split: str | None, options: TableArguments) -> Iterator[tuple[Job, Source]]:
        """The job and source of a table, with messages in the words of this module."""
        if split not in (TEST, VALIDATION, None):
            raise InputError(f"split is {TEST}, {VALIDATION} or None; found {split!r}")
        if is_history(table):
            raise InputError(f"expected a data frame, or the path of a table; found a {type(table).__name__}")
        given = place(table) if isinstance(table, str) else table
        with (
            in_words_of_python(),
            no_progress(),
            open_table(self.model, given, table_options(options), split) as opened,
        ):
            yield opened

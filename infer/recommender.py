"""Recommendations in Python: what `import infer` gives.

In: a model file written by `python -m export`, and a history, a data frame or the path of a table. Out: data frames of
Polars.

    python -c "import infer; print(infer.load('hybrid.onnx').recommend([1, 50, 260], k=5))"

Paths and data frames of interactions are read alike. Options name the columns that are called otherwise than usual
(`user=`, `item=`, `timestamp=`, `rating=`) and say how the table is read, as those of the commands do
(`infer.arguments.TableArguments`): `order="rows"` says that rows are oldest first and have no time,
`drop_bad_rows=True` leaves out rows that cannot be used, which else are refused. `only_items=`, `exclude_items=`,
`items_where=`, `boost=`, `seen=` and, of tables, `only_pairs=`, `exclude_pairs=` and `seen_within=` say which items may
be recommended, as of `infer.candidates.options.CandidateOptions`; `Recommender.rules` reads them once for many calls.
Whatever cannot be used raises InputError, whose message is one line.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import polars as pl

from infer.arguments import (
    OF_TABLES,
    RULES,
    CallArguments,
    RuleArguments,
    fallback_options,
    ids_of,
    in_words_of_python,
    is_history,
    items_path,
    split_arguments,
    table_options,
    texts_of,
    whole_number,
)
from infer.candidates.options import CandidateOptions
from infer.errors import InputError, UnknownItemsError
from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD, index_of
from infer.model.metadata import Metadata
from infer.model.session import PROVIDERS, Model, open_model
from infer.model.signature import USER_INPUT
from infer.model.vectors import Directions, item_vectors
from infer.scoring.extras import ExtraTables
from infer.scoring.fallback import NONE
from infer.scoring.job import Job, candidates_of, kind_of, rows_job
from infer.scoring.lists import model_lists
from infer.scoring.one import OneHistory
from infer.scoring.reasons import with_reasons
from infer.scoring.recency import RECENT
from infer.scoring.reranking import Reranking
from infer.scoring.similar import Similar, open_similar
from infer.scoring.task import Task
from infer.scoring.variety import Kept, VarietyOptions
from infer.scoring.whole import evaluated, lists_by_part, open_table
from infer.sources.source import Source, select_users
from infer.system.addresses import place
from infer.system.progress import no_progress
from infer.tables.columns import ITEM, TEST, USER, VALIDATION
from infer.tables.ids import in_type
from infer.tables.rules import KEEP

log = logging.getLogger(__name__)


def load(path: str | Path, *, device: str = "cpu", threads: int = 0) -> "Recommender":
    """Open a model file; looked for as given, then in artifacts/.

    device: "cpu" or "cuda"; fails if it is unavailable.  threads: of ONNX Runtime; 0 means one for each core.
    Raises InputError if the file is none of this project's, damaged or hostile, or the device is not there.
    """
    return Recommender(path, device=device, threads=threads)


@dataclass(frozen=True)
class Rules:
    """Which items a model may recommend, read once (`Recommender.rules`).

    options: as they were given.  one: what gives single histories their lists by these rules.
    """

    options: CandidateOptions
    one: OneHistory

    @property
    def of_histories(self) -> OneHistory:
        """`one`; raises InputError if a rule is of users or times, which a list of items does not name."""
        for name in OF_TABLES:
            if getattr(self.options, name) is not None:
                raise InputError(f"{name} is a rule of tables; found it beside a list of item ids")
        return self.one

    def __repr__(self) -> str:
        candidates = self.one.job.candidates
        return f"<rules of {self.one.model.path}: {int(candidates.mask.sum())} of {candidates.items} items>"


class Recommender:
    """An open model. Threads may share one."""

    def __init__(self, model: Model | str | Path, *, device: str = "cpu", threads: int = 0) -> None:
        """model: its path, device and threads as of `load`; or a model that is open."""
        if isinstance(model, Model):
            self.model = model
            return
        if not isinstance(model, str | Path):
            raise InputError(f"expected the path of a model file; found a {type(model).__name__}")
        if not isinstance(device, str) or device not in PROVIDERS:
            raise InputError(f"device is one of {', '.join(PROVIDERS)}; found {device!r}")
        with in_words_of_python():
            self.model = open_model(model, device, whole_number(threads, "threads", 0))

    def __reduce__(self) -> Any:
        raise InputError("a model cannot be pickled: load its file in each process")

    def __repr__(self) -> str:
        return f"<{self.metadata.kind} recommender of {self.model.path}>"

    @property
    def metadata(self) -> Metadata:
        """What the file says of itself: kind, item ids, data set, training configuration and more."""
        return self.model.metadata

    def recommend(
        self,
        history: Any,
        k: int = 10,
        *,
        users: Any = None,
        fallback: str = NONE,
        recent: str = RECENT,
        items: Any = None,
        reasons: int = 0,
        most_per: str | None = None,
        diversity: float = 0.0,
        rules: Rules | None = None,
        **options: Unpack[CallArguments],
    ) -> pl.DataFrame:
        """The best k items that are not in the history, best first.

        history: item ids of one person, oldest first (list, tuple, array or series) -> (rank, item, score); or a data
        frame or path of interactions -> (user, rank, item, score) from everybody's whole history.
        users: of a table, only these: an id or several.  fallback, recent: of tables, as of `score`.  items: table of
        items, a path or a data frame, for `items_where`, `most_per` and fallbacks.  reasons: of one history, a column
        `because` lists at most so many of its items, those that raised the score most.  rules: which items may be
        recommended, as `rules` gives them; or options say so: only_items, exclude_items, items_where, boost, seen.
        most_per: as "genres=2", most items of a category in a list.  diversity: from 0 to 1, how much unlike items
        count beside good ones.
        For one history no table is read.
        Raises InputError if nothing in a single history is known to the model; of tables, such users are left out.
        """
        number, items = whole_number(reasons, "reasons", 0), items_path(items)
        if history is None:
            raise InputError("history is None: give item ids or a table; score() without one takes the training table")
        if not is_history(history):
            if isinstance(history, str) and history in self.metadata.item_ids and not place(history).exists():
                raise InputError(f"{history!r} is an item: give a history as a list, [{history!r}]")
            if number:
                raise InputError("reasons are of one history; found a table: give the ids of each user's items")
            return self.score(
                history, k, split=None, users=users, fallback=fallback, recent=recent, items=items, most_per=most_per,
                diversity=diversity, rules=rules, **options,
            )  # fmt: skip
        of_tables = [name for name in options if name not in RULES or name in OF_TABLES]
        if of_tables or users is not None or fallback != NONE:
            name = next(iter(of_tables), "users" if users is not None else "fallback")
            raise InputError(f"{name} is an option of tables; found it beside a list of item ids")
        with in_words_of_python(), no_progress():
            one = self._one if rules is None and not options else self._ruled(rules, options, items).of_histories
            variety = VarietyOptions(most_per, diversity, items)
            reranking, _ = variety.reranking(one.job, self._directions, self._categories)
            return self._recommend_to_one(one, self._known(history), whole_number(k, "k", 1), number, reranking)

    def best(self, history: Any, k: int = 10, *, rules: Rules | None = None) -> tuple[list[int | str], list[float]]:
        """The list of `recommend` for one history without a data frame: ids and scores, best first.

        For services, which spend much of an answer's time on frames.  history, k, rules, errors: as of `recommend`.
        """
        if not is_history(history):
            raise InputError(f"best is of one history; found a {type(history).__name__}: give the ids of its items")
        with in_words_of_python(), no_progress():
            one = self._one if rules is None else self._ruled(rules, {}, None).of_histories
            items, scores = one.best(self._known(history), whole_number(k, "k", 1))
        known = self.metadata.item_ids
        return [known[item - PAD - 1] for item in items.tolist()], scores.tolist()

    def rules(self, *, items: Any = None, **options: Unpack[RuleArguments]) -> Rules:
        """Which items may be recommended, read once for many calls of `recommend`, `score` and `evaluate`.

        only_items, exclude_items: ids, a data frame or a path.  items_where: SQL that is true of the items that may be,
        of the columns of the table of items: `items`, or the one beside the model.  boost: {item: weight}, or a table
        with a column `weight` or `add`.  seen: "drop", "keep" or "only" (the items of the history).  only_pairs,
        exclude_pairs: tables of users and items; seen_within: as "90d"; all three for tables of interactions alone, for
        which rules in files are read anew.
        Raises InputError if a rule cannot be read, knows no item of the model, or leaves none.
        """
        unknown = next((name for name in options if name not in RULES), None)
        if unknown is not None:
            raise InputError(f"{unknown} is no rule; rules are {', '.join(RULES)}")
        given, _ = split_arguments(options, items)  # type: ignore[arg-type]
        with in_words_of_python():
            candidates = candidates_of(self.model, self._job.items, given)
        for said in candidates.said:
            log.info("%s", said)
        return Rules(given, OneHistory(replace(self._job, candidates=candidates)))

    def score(
        self,
        table: Any = None,
        k: int = 10,
        *,
        split: str | None = TEST,
        users: Any = None,
        batch_size: int = 256,
        fallback: str = NONE,
        recent: str = RECENT,
        items: Any = None,
        most_per: str | None = None,
        diversity: float = 0.0,
        rules: Rules | None = None,
        **options: Unpack[CallArguments],
    ) -> pl.DataFrame:
        """(user, rank, item, score) for all users, or `users`: to the digit what `python -m infer.batch` writes.

        table: a data frame or path; None is the table that the model was trained on.  split: where the table holds
        items out, histories end before those of "test" or "validation"; None: whole histories.  batch_size: users
        scored at once, at most.  Users whom the model cannot personalise are left out.

        fallback: "popular", "recent-popular" or "category-popular" gives them such items of the table; a column
        `source` then says which lists are the model's.  recent: how long before the newest event is of late, as "30d".
        items: a table with the items' categories, a path or a data frame; None is the one beside the model.  rules: as
        of `recommend`; options may also be only_pairs, exclude_pairs and seen_within.  most_per, diversity: as of
        `recommend`.
        """
        items = items_path(items)
        asked = fallback_options(fallback, recent, items)
        k, batch_size = whole_number(k, "k", 1), whole_number(batch_size, "batch_size", 1)
        with self._opened(table, split, options, rules, items) as (job, source):
            chosen = source if users is None else select_users(source, texts_of(users))
            variety = VarietyOptions(most_per, diversity, items)
            return pl.concat(lists_by_part(job, chosen, k, batch_size, source, asked, variety))

    def evaluate(
        self,
        table: Any = None,
        k: int = 10,
        *,
        split: str = TEST,
        seed: int = 0,
        batch_size: int = 256,
        recent: str = RECENT,
        items: Any = None,
        most_per: str | None = None,
        diversity: float = 0.0,
        rules: Rules | None = None,
        **options: Unpack[CallArguments],
    ) -> pl.DataFrame:
        """(model, metric, value, low, high) of the held-out items, with 95% intervals, as `python -m infer.batch`
        measures them: of "random", "popularity" and what else is a baseline there, then of the model by its file's
        name.

        table: as for `score`, with a column `split`.  seed: of the random lists.  recent: as of `score`, of the
        baseline "recent popularity".  items: a table of items with categories, for diversity and calibration; None: the
        one beside the model, if it is there.  rules: as of `score`; the baselines follow them, too.
        most_per, diversity: as of `recommend`; "not re-ranked" are the same lists without.
        """
        k, batch_size = whole_number(k, "k", 1), whole_number(batch_size, "batch_size", 1)
        items = items_path(items)
        if split is None:
            raise InputError(f"split is {TEST} or {VALIDATION}; found None, which holds nothing out to measure")
        with self._opened(table, split, options, rules, items) as (job, source):
            tables = ExtraTables(items=items)
            variety = VarietyOptions(most_per, diversity, items)
            return evaluated(job, source, k, batch_size, whole_number(seed, "seed", 0), recent, tables, variety)

    def similar(
        self, item: int | str, k: int = 10, *, only_items: Any = None, exclude_items: Any = None,
        items_where: str | None = None, items: Any = None,
    ) -> pl.DataFrame:  # fmt: skip
        """(rank, similar_item, score): the k items nearest to one, best first.

        The score is the cosine of item vectors, or of models without these what they recommend after this item alone.
        only_items, exclude_items: ids, a data frame or a path: items that may be listed, or not.  items_where: SQL
        that is true of those that may be, of the columns of the table of items: `items`, or the one beside the model.
        Raises InputError if the model does not know the item, or a rule cannot be used.
        """
        with in_words_of_python(), no_progress():
            given = {"only_items": only_items, "exclude_items": exclude_items, "items_where": items_where}
            stated = {name: rule for name, rule in given.items() if rule is not None}
            rules, _ = split_arguments(stated, items)  # type: ignore[arg-type]
            finder = self._similar.ruled(rules) if stated else self._similar
            index = index_of(ids_of([item], "item"), finder.job.items)
            if index[0] == PAD:
                raise UnknownItemsError(f"{self.model.path.name} does not know the item {item!r:.80}")
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
        return replace(open_similar(self.model), directions=self._directions)

    @cached_property
    def _directions(self) -> Directions:
        return Directions(self.model)

    @cached_property
    def _categories(self) -> Kept:
        return {}

    @cached_property
    def _job(self) -> Job:
        return rows_job(self.model)

    @cached_property
    def _one(self) -> OneHistory:
        return OneHistory(self._job)

    @cached_property
    def _index(self) -> dict[int | str, int]:
        items: Sequence[int | str] = self.metadata.item_ids
        return {item: index for index, item in enumerate(items, PAD + 1)}

    def _ruled(self, rules: Rules | None, options: CallArguments, items: Any) -> Rules:
        """The rules of one call, which are given or which options state."""
        if rules is None:
            return self.rules(items=items, **{name: rule for name, rule in options.items() if name in RULES})  # type: ignore[arg-type]
        if not isinstance(rules, Rules):
            raise InputError(f"rules are what model.rules(...) gives; found a {type(rules).__name__}")
        both = next((name for name in options if name in RULES), None)
        if both is not None:
            raise InputError(f"{both} is given beside rules: give it to model.rules(...), too")
        if rules.one.model is not self.model:
            raise InputError(f"the rules are of {rules.one.model.path}; make them with rules() of this model")
        return rules

    def _known(self, history: Any) -> np.ndarray:
        """(length,) int32 indexes of the items of a history that the model knows, oldest first.

        Raises InputError if there are none, or the model does not read histories.
        """
        if USER_INPUT not in self.model.inputs and (found := self._all_known(history)) is not None:
            return found
        ids = ids_of(history)
        known, name, given = self._job.items.schema[ITEM], self.model.path.name, ids
        if ids.dtype != known:  # numbers are compared as texts, as those of tables are
            ids = in_type(ids, known).drop_nulls()
            if len(given) and not any(item in self._index for item in ids):
                raise UnknownItemsError(
                    f"the history has {kind_of(given.dtype)} as item ids; {name} knows {kind_of(known)}, none of these"
                )
        if USER_INPUT in self.model.inputs:
            raise InputError(f"{name} reads who a user is, which a list of items does not say; give a table of users")
        items = self._latest([self._index[item] for item in ids if item in self._index])
        if not len(items):
            raise UnknownItemsError(f"{name} cannot recommend from this history: it knows none of its {len(ids)} items")
        return items

    def _all_known(self, history: Any) -> np.ndarray | None:
        """The same for a list of ids as the model has them, all of which it knows; else None."""
        kind = type(self.metadata.item_ids[0])
        if type(history) is not list or not all(type(item) is kind for item in history):
            return None
        indexes = [self._index.get(item, PAD) for item in history]
        return None if not indexes or PAD in indexes else self._latest(indexes)

    def _latest(self, indexes: list[int]) -> np.ndarray:
        """Of an item that comes again the latest counts, as in tables, or all do."""
        if self.metadata.rules.get("repeats") != KEEP:
            indexes = list(dict.fromkeys(reversed(indexes)))[::-1]
        return np.array(indexes, dtype=np.int32)

    def _recommend_to_one(
        self, one: OneHistory, items: np.ndarray, k: int, reasons: int = 0, reranking: Reranking | None = None
    ) -> pl.DataFrame:
        if not reasons and reranking is None:
            return one.table(items, k)
        levels = np.zeros(len(items), dtype=np.int64) if self.metadata.rating_levels else None
        keeps = self.metadata.rules.get("repeats") == KEEP
        histories = Histories(pl.Series(USER, [0]), items, np.array([0, len(items)]), levels=levels, repeats=keeps)
        task = Task(one.job, histories, np.array([PAD]), targets=None)
        lists = model_lists(task, k, batch_size=1, reranking=reranking)
        return (with_reasons(task, lists, reasons) if reasons else lists).drop(USER)

    @contextmanager
    def _opened(
        self, table: Any, split: str | None, options: CallArguments, rules: Rules | None, items: Any
    ) -> Iterator[tuple[Job, Source]]:
        """The job and source of a table, with messages in the words of this module."""
        if split not in (TEST, VALIDATION, None):
            raise InputError(f"split is {TEST}, {VALIDATION} or None; found {split!r}")
        if is_history(table):
            raise InputError(f"expected a data frame, or the path of a table; found a {type(table).__name__}")
        given = place(table) if isinstance(table, str) else table
        allowed, others = split_arguments(options, items)
        if rules is not None:
            allowed = self._ruled(rules, options, items).options
        with (
            in_words_of_python(),
            no_progress(),
            open_table(self.model, given, table_options(others), split, allowed) as opened,
        ):
            yield opened

"""A request and what is served to a list: which call of the Python API it is, and what its refusals are over HTTP.

In: a checked body and an open model. Out: names and values as `infer.serving.bodies.Listed` describes them.

    recommended("hybrid", model, body)

Messages of the library name files and values; they go to the log, and the reader gets words of this module.
"""

import logging
from typing import Any

import polars as pl

import infer
from infer.errors import InputError, UnknownItemsError
from infer.model.metadata import NONE
from infer.model.signature import USER_INPUT, WINDOW_INPUT
from infer.serving.problems import Problem, busy
from infer.serving.users import UserLists
from infer.tables.columns import ITEM, RANK, SCORE

log = logging.getLogger(__name__)
NUMBERS = {"weight": pl.Float64, "add": pl.Float64}  # of boosts
IDLE = ("exclude_items", "boost")  # rules that change nothing where they name nothing that is known


def reads_histories(model: "infer.Recommender") -> bool:
    """Whether a model recommends from items alone."""
    return WINDOW_INPUT in model.model.inputs and USER_INPUT not in model.model.inputs


def gives_reasons(model: "infer.Recommender") -> bool:
    """Whether it says what raised a score."""
    return reads_histories(model) and model.metadata.attribution != NONE


def finds_similar(model: "infer.Recommender") -> bool:
    """Whether it finds the items that are nearest to one."""
    return bool(model.metadata.vectors) or reads_histories(model)


def about(name: str, model: "infer.Recommender") -> dict[str, Any]:
    """What `/v1/models` says of a model."""
    known = model.metadata
    return {
        "name": name,
        "version": model.model.checksum,
        "kind": known.kind,
        "items": len(known.item_ids),
        "id_type": "string" if isinstance(known.item_ids[0], str) else "integer",
        "histories": reads_histories(model),
        "reasons": gives_reasons(model),
        "similar": finds_similar(model),
    }


def recommended(name: str, model: "infer.Recommender", body: Any) -> dict[str, Any]:
    """The list of a history; raises Problem 404 if the model knows none of its items, or of those of a rule, 422 for
    what the model cannot do."""
    if not reads_histories(model):
        raise Problem(422, "this model recommends to users it was trained on, not from histories")
    if body.reasons and not gives_reasons(model):
        raise Problem(422, "this model gives no reasons")
    rules = _rules(model, body)
    try:
        if not body.reasons:
            return _answer(name, model.model.checksum, _rows(*model.best(body.history, body.k, rules=rules)))
        found = model.recommend(body.history, body.k, reasons=body.reasons, rules=rules)
    except UnknownItemsError:
        raise Problem(404, "the model knows no item of the history") from None
    except InputError as error:
        raise _unanswered(name, error) from None
    return _listed(name, model.model.checksum, found)


def similar(name: str, model: "infer.Recommender", body: Any) -> dict[str, Any]:
    """The list of the items nearest to one; raises Problem as `recommended` does."""
    if not finds_similar(model):
        raise Problem(422, "this model finds no similar items")
    stated = {rule: value for rule in ("only_items", "exclude_items") if (value := getattr(body, rule)) is not None}
    stated, _ = _checked(model, stated)
    try:
        found = model.similar(body.item, body.k, **stated)
    except UnknownItemsError:
        raise Problem(404, "the model does not know this item") from None
    except InputError as error:
        raise _unanswered(name, error) from None
    return _listed(name, model.model.checksum, found.rename({"similar_item": ITEM}))


def published(name: str, lists: UserLists, user: str, k: int) -> dict[str, Any]:
    """The published list of a user; raises Problem 404 if there is none."""
    found = lists.of(user, k)
    if found is None:
        raise Problem(404, "these lists have none for this user")
    return _listed(name, lists.version, found)


def _rules(model: "infer.Recommender", body: Any) -> Any:
    stated = {
        rule: value for rule in ("only_items", "exclude_items", "seen") if (value := getattr(body, rule)) is not None
    }
    if body.boost:
        # Of JSON, in which the numbers of the first hundred may all be whole.
        stated["boost"] = pl.DataFrame([dict(boost) for boost in body.boost], schema_overrides=NUMBERS)
        if stated["boost"][ITEM].is_duplicated().any():
            raise Problem(422, "boost names an item twice")
    return _checked(model, stated)[1]


def _checked(model: "infer.Recommender", stated: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Rules of one request that say something, and what the model makes of them; raises Problem if they cannot be used.

    To exclude or boost items that are newer than the model changes nothing: a shop's page need not know which are.
    """
    stated = {rule: value for rule, value in stated.items() if rule not in IDLE or len(value)}
    while stated:
        try:
            return stated, model.rules(**stated)
        except UnknownItemsError as error:
            rule = error.option.removeprefix("--").replace("-", "_")
            if rule not in IDLE:
                raise Problem(404, "the model knows no item of a rule; leave the rule out") from None
            del stated[rule]
        except InputError:
            raise Problem(
                422, "the rules cannot be used: they leave no item to recommend, or name what cannot be an id"
            ) from None
    return {}, None


def _unanswered(name: str, error: InputError) -> Problem:
    """What is no fault of the request, as a score that is no number."""
    log.warning("model %s: %s", name, error)
    return busy("the model cannot answer this request")


def _rows(ids: list[int | str], scores: list[float]) -> list[dict[str, Any]]:
    return [
        {RANK: rank, ITEM: item, SCORE: score} for rank, (item, score) in enumerate(zip(ids, scores, strict=True), 1)
    ]


def _listed(name: str, version: str, rows: pl.DataFrame) -> dict[str, Any]:
    return _answer(name, version, rows.to_dicts())


def _answer(name: str, version: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "version": version, "items": rows}

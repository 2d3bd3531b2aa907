"""Requests and answers: what pydantic checks and OpenAPI describes.

In: JSON. Out: instances, or a `Problem` with status 422 that says where something else was expected.

    Bodies(Limits()).recommend.model_validate_json('{"history": [1, 50, 260]}')

Rules name items by their ids only: paths and SQL, which the Python API takes too, are for whoever runs the service.
"""

from collections.abc import Sequence
from math import inf
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from infer.candidates.boosts import LARGEST_ADDED, LARGEST_WEIGHT
from infer.serving.limits import MAX_REASONS, Limits
from infer.serving.problems import Problem

Number = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
Text = Annotated[StrictStr, Field(min_length=1)]
Id = Number | Text
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]  # whole numbers too, however long they are
Weight = Annotated[Finite, Field(ge=1 / LARGEST_WEIGHT, le=LARGEST_WEIGHT)]
Added = Annotated[Finite, Field(ge=-LARGEST_ADDED, le=LARGEST_ADDED)]
READ, SHOWN = 100, 10  # errors of one body
SHORT = 100  # items of a list
Body = TypeVar("Body", bound=BaseModel)


class Strict(BaseModel):
    """Nothing but its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NumberBoost(Strict):
    """A score that is multiplied by `weight`, then raised by `add`."""

    item: Number
    weight: Weight = 1.0
    add: Added = 0.0


class TextBoost(NumberBoost):
    """The same of an item whose id is a text."""

    item: Text  # type: ignore[assignment]


class Recommendation(BaseModel):
    """One item of a list. because: items of the history that raised its score most, if they were asked for.
    source: of published lists that have it, whether the list is the model's or a fallback's, whose scores and reasons
    are null."""

    rank: int
    item: int | str
    score: float | None
    because: list[int] | list[str] | None = []
    source: str = ""


class Listed(BaseModel):
    """A list, best first. name: of the model or lists that it is from; version: which of them."""

    name: str
    version: str
    items: list[Recommendation]


class Loaded(BaseModel):
    """A model that is served. version: the SHA-256 of its file. histories, reasons, similar: what it can be asked."""

    name: str
    version: str
    kind: str
    items: int
    id_type: Literal["integer", "string"]
    histories: bool
    reasons: bool
    similar: bool


class Published(BaseModel):
    """Lists that are served. version: the number of the publication."""

    name: str
    version: str
    users: int


class Served(BaseModel):
    """What is served; the first of each is what a request gets that names none."""

    models: list[Loaded]
    lists: list[Published]


class Status(BaseModel):
    """Of a probe."""

    status: str


class Where(BaseModel):
    """A place in a request (a JSON pointer), and what was expected there."""

    at: str
    detail: str


class ProblemBody(BaseModel):
    """Why there is no answer (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Where] = []


class Bodies:
    """The bodies of requests under limits. recommend, similar: classes of pydantic."""

    def __init__(self, limits: Limits) -> None:
        def rows(kind: Any, most: int, least: int = 1) -> Any:
            return Annotated[list[kind], Field(min_length=least, max_length=most, fail_fast=True)]

        ids, none_too = (rows(Number, limits.max_rule, n) | rows(Text, limits.max_rule, n) for n in (1, 0))
        boosts = rows(NumberBoost, limits.max_rule, 0) | rows(TextBoost, limits.max_rule, 0)

        class Rules(Strict):
            model: StrictStr | None = Field(None, description="name of a model; the first one if it is left out")
            k: Annotated[StrictInt, Field(ge=1, le=limits.max_k)] = Field(10, description="length of the list")
            only_items: ids | None = Field(None, description="the only items that may be listed")  # type: ignore[valid-type]
            exclude_items: none_too | None = Field(None, description="items that may not be")  # type: ignore[valid-type]

        class RecommendRequest(Rules):
            history: rows(Number, limits.max_history) | rows(Text, limits.max_history) = Field(  # type: ignore[valid-type]
                description="items of one person, oldest first"
            )
            reasons: Annotated[StrictInt, Field(ge=0, le=MAX_REASONS)] = Field(
                0, description="items of the history to name with each, that raised its score most"
            )
            boost: boosts | None = Field(None, description="scores to lift or lower, each item once")  # type: ignore[valid-type]
            seen: Literal["drop", "keep", "only"] | None = Field(
                None, description="items of the history: dropped, kept, or alone listed"
            )

        class SimilarRequest(Rules):
            item: Id = Field(description="whose nearest are listed")

        self.recommend, self.similar = RecommendRequest, SimilarRequest


def parsed(kind: type[Body], content: bytes) -> Body:
    """The body of a request; raises Problem 422."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[:READ]
        found = [one for one in found if _reached(one) == max(_reached(o) for o in _rivals(one, found))]
        told = dict.fromkeys((_pointer(one["loc"]), one["msg"][:200]) for one in found)
        said = [{"at": at, "detail": detail} for at, detail in list(told)[:SHOWN]]
    raise Problem(422, "the body is not what this path takes", said)


def is_plain(body: BaseModel) -> bool:
    """Whether a request names nothing that makes its answer take longer than others: its history and model alone, and
    a short list."""
    return body.model_fields_set <= {"history", "model", "k"} and getattr(body, "k", 0) <= SHORT


def _pointer(place: Sequence[int | str]) -> str:
    """Without the names of the kinds that pydantic tried, which stand between those of fields; keys of the client's own
    are cut."""
    parts = [str(part)[:40] for part in place if isinstance(part, int) or not _is_kind(part)]
    return "".join(f"/{part}" for part in parts)


def _tried(place: Sequence[int | str]) -> int:
    """Where in a place a kind of list stands that pydantic tried beside another; the length if there is none."""
    return next((n for n, part in enumerate(place) if isinstance(part, str) and part.startswith("list[")), len(place))


def _reached(one: Any) -> float:
    """How far a list of one kind was read, which of one that is too long is all that may be; -1 of what is no list."""
    if one["type"] == "too_long":
        return inf
    place = one["loc"]
    element = place[_tried(place) + 1 : _tried(place) + 2]
    return element[0] if element and isinstance(element[0], int) else -1


def _rivals(one: Any, found: Sequence[Any]) -> list[Any]:
    """The errors of the same list, read as one kind and as another: the kind that went further was meant."""
    field = one["loc"][: _tried(one["loc"])]
    return [other for other in found if other["loc"][: _tried(other["loc"])] == field]


def _is_kind(part: str) -> bool:
    return part.startswith(("list[", "constrained", "function-", "int", "str", "float")) or part in (
        "literal",
        "nullable",
    )

"""Answers that are none, in one shape: application/problem+json (RFC 9457).

In: a status and what is wrong, in words that hold no path, version or trace. Out: a response.

    raise Problem(404, "there is no model of this name")
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

TYPE = "application/problem+json"


class Problem(Exception):
    """What a request cannot have. errors: where in it, and what was expected there."""

    def __init__(
        self, status: int, detail: str, errors: list[dict[str, Any]] | None = None, headers: Mapping[str, str] = {}
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, errors, headers

    @property
    def response(self) -> Response:
        """The answer."""
        content: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            content["errors"] = self.errors
        return Response(to_json(content), self.status, dict(self.headers), TYPE)


def busy(detail: str) -> Problem:
    """503, with the word that it is worth asking again."""
    return Problem(503, detail, headers={"Retry-After": "1"})


async def of_starlette(request: Request, error: Exception) -> Response:
    """What the framework raises where there is no such path or method."""
    assert isinstance(error, HTTPException)
    said = {404: "there is nothing at this path", 405: "this path has other methods; the header Allow lists them"}
    detail = said.get(error.status_code, "the request cannot be answered")
    return Problem(error.status_code, detail, headers=error.headers or {}).response

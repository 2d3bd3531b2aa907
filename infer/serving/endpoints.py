"""The paths of the service: a request is read and checked, a model asked in another thread, and the answer written.

In: what is served and its limits. Out: functions of Starlette, by the name that figures and OpenAPI give them.

    Endpoints(served, Limits(), figures).recommend
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from infer.serving import answers
from infer.serving.bodies import Bodies, is_plain, parsed
from infer.serving.limits import Limits
from infer.serving.loaded import Served, Slot
from infer.serving.measured import Figures
from infer.serving.problems import Problem, busy
from infer.serving.work import Work

log = logging.getLogger(__name__)
Thing = TypeVar("Thing")
Endpoint = Callable[["Endpoints", Request], Awaitable[Response]]


def answered(endpoint: Endpoint) -> Endpoint:
    """Whatever happens is an answer: of what nobody foresaw one line is logged, and the reader may ask again."""

    @functools.wraps(endpoint)
    async def call(self: "Endpoints", request: Request) -> Response:
        try:
            return await endpoint(self, request)
        except Problem as problem:
            return problem.response
        except asyncio.CancelledError:  # by the end of the process, which waited as long as it may
            return busy("the service is stopping").response
        except ClientDisconnect:
            return Problem(400, "the body ended early").response
        except Exception as error:
            log.warning("%s failed: %s", endpoint.__name__, type(error).__name__, exc_info=False)
            return busy("the request cannot be answered").response

    return call


class Endpoints:
    """The functions. stopping: whether readers are to go elsewhere, as the probe of readiness says."""

    def __init__(self, served: Served, limits: Limits, figures: Figures, description: bytes) -> None:
        self._served, self._limits, self._figures, self._description = served, limits, figures, description
        self._bodies = Bodies(limits)
        self._work = Work(limits.workers, limits.queue)
        figures.waiting.set_function(lambda: self._work.accepted)
        self.stopping = False

    @answered
    async def recommend(self, request: Request) -> Response:
        """The best items for a history."""
        return await self._ask(request, self._bodies.recommend, answers.recommended)

    @answered
    async def similar(self, request: Request) -> Response:
        """The items nearest to one."""
        return await self._ask(request, self._bodies.similar, answers.similar)

    @answered
    async def user(self, request: Request) -> Response:
        """The published list of a user."""
        asked = request.query_params
        k = asked.get("k", "10")
        if not (k.isascii() and k.isdigit() and len(k) < 10 and 1 <= int(k) <= self._limits.max_k):
            raise Problem(422, f"k is a whole number from 1 to {self._limits.max_k}")
        name, lists = _chosen(self._served.lists, asked.get("lists"), "lists")
        return _json(answers.published(name, lists, request.path_params["user"], int(k)))

    @answered
    async def models(self, request: Request) -> Response:
        """What is served."""
        return _json(
            {
                "models": [answers.about(name, slot.thing) for name, slot in self._served.models.items()],
                "lists": [
                    {"name": name, "version": slot.thing.version, "users": slot.thing.users}
                    for name, slot in self._served.lists.items()
                ],
            }
        )

    @answered
    async def live(self, request: Request) -> Response:
        """Whether the process answers."""
        return _json({"status": "live"})

    @answered
    async def ready(self, request: Request) -> Response:
        """Whether it may be sent requests."""
        if self.stopping:
            raise busy("the service is stopping")
        return _json({"status": "ready"})

    @answered
    async def metrics(self, request: Request) -> Response:
        """Figures for Prometheus."""
        return Response(self._figures.text, media_type=CONTENT_TYPE_LATEST)

    @answered
    async def openapi(self, request: Request) -> Response:
        """The description of all paths."""
        return Response(self._description, media_type="application/json")

    async def _ask(
        self, request: Request, kind: type[BaseModel], call: Callable[[str, Any, Any], dict[str, Any]]
    ) -> Response:
        """An answer of a model, made in another thread."""
        with self._work.asking():
            body: Any = parsed(kind, await self._content(request))
            name, model = _chosen(self._served.models, body.model, "model")
            alike = (call, name) if is_plain(body) else None
            return await self._work.run(lambda: _json(call(name, model, body)), self._limits.timeout, alike)

    async def _content(self, request: Request) -> bytes:
        """The body; raises Problem if it is no plain JSON by its headers, too long, or comes too slowly."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Problem(415, "the body is application/json")
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Problem(415, "the body is not packed", headers={"Accept-Encoding": "identity"})
        too_long = Problem(413, f"a body has at most {self._limits.max_body} bytes", headers={"Connection": "close"})
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._limits.max_body:
            raise too_long
        content = bytearray()
        try:
            async with asyncio.timeout(self._limits.timeout):
                async for chunk in request.stream():
                    content += chunk
                    if len(content) > self._limits.max_body:
                        raise too_long
        except TimeoutError:
            raise Problem(408, "the body came too slowly", headers={"Connection": "close"}) from None
        return bytes(content)


def _chosen(slots: Mapping[str, Slot[Thing]], name: str | None, what: str) -> tuple[str, Thing]:
    """The one of a name, or the first; raises Problem 404 if there is none."""
    if name is None:
        name = next(iter(slots), "")
    if name not in slots:
        raise Problem(404, f"no {what} of this name {'are' if what == 'lists' else 'is'} served")
    return name, slots[name].thing


def _json(content: dict[str, Any]) -> Response:
    return Response(to_json(content), media_type="application/json")

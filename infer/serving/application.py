"""The ASGI application: paths, and the guard before them.

In: what is served, limits and a token. Out: an application for any ASGI server or test client.

    application(served, Limits(), Figures())
"""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.routing import Route

from infer.serving.description import description
from infer.serving.endpoints import Endpoints
from infer.serving.guard import Guard
from infer.serving.limits import Limits
from infer.serving.loaded import Served
from infer.serving.measured import Figures
from infer.serving.problems import of_starlette


class _Anything(StringConvertor):
    """All that is left of a path, line breaks too, which are part of an id like other characters."""

    regex = "(?s:.*)"


register_url_convertor("anything", _Anything())


@dataclass(frozen=True)
class Application:
    """What answers (`asgi`), its functions, which know whether it is stopping, and what is counted of it."""

    asgi: Guard
    endpoints: Endpoints
    figures: Figures


def application(
    served: Served, limits: Limits, figures: Figures, token: Callable[[], str | None] = lambda: None
) -> Application:
    """An application. token: the one that is needed now; None: none is."""
    told = to_json(description(limits, with_token=token() is not None))
    endpoints = Endpoints(served, limits, figures, told)
    routes = [
        Route("/v1/recommend", endpoints.recommend, methods=["POST"]),
        Route("/v1/similar", endpoints.similar, methods=["POST"]),
        Route("/v1/users/{user:anything}", endpoints.user, methods=["GET"]),
        Route("/v1/models", endpoints.models, methods=["GET"]),
        Route("/health/live", endpoints.live, methods=["GET"]),
        Route("/health/ready", endpoints.ready, methods=["GET"]),
        Route("/metrics", endpoints.metrics, methods=["GET"]),
        Route("/openapi.json", endpoints.openapi, methods=["GET"]),
    ]
    starlette = Starlette(routes=routes, exception_handlers={HTTPException: of_starlette})
    starlette.router.redirect_slashes = False
    return Application(Guard(starlette, figures, token, lambda: endpoints.stopping), endpoints, figures)

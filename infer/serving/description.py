"""What OpenAPI says of the service: paths, bodies under the limits in force, answers and problems.

In: limits. Out: a document of OpenAPI 3.1.

    description(Limits(), with_token=False)
"""

from typing import Any

from pydantic.json_schema import models_json_schema

from infer.serving.bodies import Bodies, Listed, ProblemBody, Served, Status
from infer.serving.limits import Limits
from infer.serving.problems import TYPE

REFERENCE = "#/components/schemas/{model}"
# Why a path may give no answer.
REASONS = {
    400: "the body ended early, or the request is not HTTP",
    401: "the token is missing or another",
    404: "no such model, lists, user, or none of the items is known",
    408: "the body came too slowly",
    413: "the body is too long",
    415: "the body is not JSON by its header, or is packed",
    422: "the request is not what this path takes, or the model cannot do this",
    503: "too many requests, too slow an answer, or stopping; ask again later",
}
OF_BODIES = (400, 404, 408, 413, 415, 422, 503)


def description(limits: Limits, with_token: bool) -> dict[str, Any]:
    """The whole document."""
    bodies = Bodies(limits)
    described: list[tuple[Any, Any]] = [(model, "validation") for model in (bodies.recommend, bodies.similar)]
    described += [(model, "serialization") for model in (Listed, Served, Status, ProblemBody)]
    references, schemas = models_json_schema(described, ref_template=REFERENCE)
    of = {model.__name__: reference for (model, _), reference in references.items()}
    refused = (401,) if with_token else ()

    def operation(name: str, says: str, answer: Any, problems: tuple[int, ...], **more: Any) -> dict[str, Any]:
        answers = {"200": {"description": says, "content": answer}}
        for status in sorted(problems):
            content = {TYPE: {"schema": of["ProblemBody"]}}
            answers[str(status)] = {"description": REASONS[status], "content": content}
        return {"operationId": name, "summary": says, "responses": answers} | more

    def get(name: str, says: str, kind: str, *problems: int, **more: Any) -> dict[str, Any]:
        return {"get": operation(name, says, _json(of[kind]), problems, **more)}

    def post(name: str, says: str, body: str) -> dict[str, Any]:
        request = {"required": True, "content": _json(of[body])}
        return {"post": operation(name, says, _json(of["Listed"]), (*OF_BODIES, *refused), requestBody=request)}

    k = {"type": "integer", "minimum": 1, "maximum": limits.max_k, "default": 10}
    parameters = [
        {"name": "user", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
        {"name": "k", "in": "query", "schema": k, "description": "length of the list"},
        {"name": "lists", "in": "query", "schema": {"type": "string"}, "description": "name of the lists"},
    ]
    everybody: dict[str, Any] = {"security": []}
    text = {"text/plain": {"schema": {"type": "string"}}}
    anything = _json({"type": "object"})
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Recommendations", "version": "1"},
        "paths": {
            "/v1/recommend": post("recommend", "the best items for a history", "RecommendRequest"),
            "/v1/similar": post("similar", "the items nearest to one", "SimilarRequest"),
            "/v1/users/{user}": get(
                "user", "the published list of a user", "Listed", 404, 422, 503, *refused, parameters=parameters
            ),
            "/v1/models": get("models", "what is served", "Served", 503, *refused),
            "/health/live": get("live", "whether the process answers", "Status", 503, **everybody),
            "/health/ready": get("ready", "whether it may be sent requests", "Status", 503, **everybody),
            "/metrics": {"get": operation("metrics", "figures for Prometheus", text, (503, *refused))},
            "/openapi.json": {"get": operation("openapi", "this description", anything, (503, *refused))},
        },
        "components": {"schemas": schemas["$defs"]},
    }
    if with_token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}

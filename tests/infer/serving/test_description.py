"""The service against its own description: whatever fits it or does not, answers are as described, none a 500."""

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

from infer.serving.application import application  # noqa: E402
from infer.serving.limits import Limits  # noqa: E402
from infer.serving.measured import Figures  # noqa: E402

PATHS = {
    "/v1/recommend": "POST", "/v1/similar": "POST", "/v1/users/{user}": "GET", "/v1/models": "GET",
    "/health/live": "GET", "/health/ready": "GET", "/metrics": "GET", "/openapi.json": "GET",
}  # fmt: skip


@pytest.fixture(scope="session")
def described(served):
    limits = Limits(max_history=20, max_k=30, max_rule=10, timeout=60)
    return schemathesis.openapi.from_asgi("/openapi.json", application(served, limits, Figures()).asgi)


def test_every_path_is_described(described) -> None:
    found = [each.ok() for each in described.get_all_operations()]
    assert {operation.path: operation.method.upper() for operation in found} == {
        path: method
        for path, method in PATHS.items()
        if path != "/openapi.json"  # which was read for this
    }


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "other"])
@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_as_described(described, path: str, mode: GenerationMode) -> None:
    """Driven by Hypothesis alone: schemathesis' own plugin asks pytest for what the present one has no more."""
    operation = described[path][PATHS[path]]
    if mode == GenerationMode.NEGATIVE and "{" not in path and PATHS[path] == "GET":
        return  # nothing in it can be other than described

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def check(case) -> None:
        # To JSON Schema 7.0 is a whole number, to this service none; what fits otherwise may be unknown (404) or, as
        # rules that leave nothing, impossible (422).
        answer = case.call_and_validate(excluded_checks=[positive_data_acceptance])
        assert answer.status_code < 500 and (mode == GenerationMode.NEGATIVE or answer.status_code in (200, 404, 422))

    check()

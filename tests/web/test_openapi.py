"""What the OpenAPI allows, and what it does not, thrown at the server: it answers as described, and never breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

if TYPE_CHECKING:
    from starlette.testclient import TestClient

OPENAPI = "/api/v1/openapi.json"
WITH_PARAMETERS = [
    "/query",
    "/photos",
    "/photos/{photo_id}",
    "/photos/{photo_id}/thumbnail",
    "/photos/{photo_id}/view",
    "/forget",
]
PATHS = [*WITH_PARAMETERS, "/photos/{photo_id}/lesson", "/progress"]

# Times are checked by what they mean, and a question needs words or an example: no schema says either. And what breaks
# the schema may break the limit of an address before anybody looks at it.
BEYOND_A_SCHEMA = [positive_data_acceptance, negative_data_rejection]


def test_every_route_of_the_api_is_described(program: TestClient) -> None:
    assert set(program.get(OPENAPI).json()["paths"]) == {f"/api/v1{path}" for path in PATHS}


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("path", WITH_PARAMETERS)
def test_whatever_is_asked_the_answer_is_as_described(program: TestClient, path: str, mode: GenerationMode) -> None:
    headers = {"host": "127.0.0.1:8377", "authorization": program.headers["authorization"]}
    schema = schemathesis.openapi.from_asgi(OPENAPI, program.app, headers=headers)

    @given(case=schema[f"/api/v1{path}"]["GET"].as_strategy(generation_mode=mode))
    @settings(
        max_examples=15, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def answers_as_described(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=headers, excluded_checks=[*BEYOND_A_SCHEMA])

    answers_as_described()

"""What the OpenAPI allows, and what it does not, thrown at the server: it answers as described, and never breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

if TYPE_CHECKING:
    from starlette.testclient import TestClient

OPENAPI = "/api/v1/openapi.json"
PATHS = [
    "/query",
    "/photos",
    "/photos/{photo_id}",
    "/photos/{photo_id}/thumbnail",
    "/photos/{photo_id}/view",
    "/progress",
]


def test_every_route_of_the_api_is_described(program: TestClient) -> None:
    assert set(program.get(OPENAPI).json()["paths"]) == {f"/api/v1{path}" for path in PATHS}


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("path", PATHS)
def test_whatever_is_asked_the_answer_is_as_described(program: TestClient, path: str, mode: GenerationMode) -> None:
    headers = {"host": "127.0.0.1:8377", "authorization": program.headers["authorization"]}
    schema = schemathesis.openapi.from_asgi(OPENAPI, program.app, headers=headers)

    @given(case=schema[f"/api/v1{path}"]["GET"].as_strategy(generation_mode=mode))
    @settings(
        max_examples=15, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def answers_as_described(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=headers)

    answers_as_described()

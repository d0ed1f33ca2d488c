"""The OpenAPI description: complete enough to write a client from, and true of what is answered."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest

from console.entrance import API
from tests.services.console.conftest import Console, app

SCHEMA: dict[str, Any] = app().openapi()
OPERATIONS = [(path, method) for path, methods in SCHEMA["paths"].items() for method in methods]


def operation(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMA["paths"][path][method]
    return found


def test_operations_have_names_of_their_own() -> None:
    names = [operation(*each)["operationId"] for each in OPERATIONS]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z]+(_[a-z]+)+", name) for name in names)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_says_what_it_is_and_how_it_fails(path: str, method: str) -> None:
    told = operation(path, method)
    assert path.startswith(f"{API}/")
    assert told["summary"]
    assert len(told["description"]) > 15
    assert told["security"] == [{"admin": []}]
    assert set(told["tags"]) <= {tag["name"] for tag in SCHEMA["tags"]}
    assert not {"422", "500", "default"} & told["responses"].keys()
    failures = {status: answer for status, answer in told["responses"].items() if status >= "4"}
    assert {"401", "429", "503"} <= failures.keys()
    assert ("404" in failures) >= ("{" in path)
    assert ("413" in failures) == ("requestBody" in told)
    changes = any(parameter["name"] == "If-Match" for parameter in told.get("parameters", ()))
    assert ({"409", "412", "428"} <= failures.keys()) == changes
    for answer in failures.values():
        name = answer["$ref"].removeprefix("#/components/responses/")
        body = SCHEMA["components"]["responses"][name]["content"]["application/json"]["schema"]
        assert body == {"$ref": "#/components/schemas/Failure"}
    good = [status for status in told["responses"] if status.startswith("2")]
    assert len(good) == 1 or (method == "put" and good == ["200", "201"])
    for status in good:
        if status != "204":
            assert "$ref" in told["responses"][status]["content"]["application/json"]["schema"]


@pytest.mark.parametrize(
    ("path", "method"), [each for each in OPERATIONS if "list_" in operation(*each)["operationId"]]
)
def test_every_list_comes_in_pages(path: str, method: str) -> None:
    told = operation(path, method)
    assert {"limit", "after"} <= {parameter["name"] for parameter in told["parameters"]}
    name = told["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert {"object", "data", "has_more", "next"} == SCHEMA["components"]["schemas"][name]["properties"].keys()


def checked(path: str, told: Any) -> None:
    schema = operation(f"{API}/{path}", "get")["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(told, {**schema, "components": SCHEMA["components"]})


async def test_what_is_answered_is_as_described(console: Console) -> None:
    await console.client.post("upstreams/openai/rest", json={"seconds": 1})
    for path in ("status", "processes", "credentials", "sessions", "limits", "requests", "audit"):
        checked(path, await console.get(path))
    checked("upstreams/{upstream}/credentials/{alias}", await console.get("upstreams/openai/credentials/a"))
    checked("usage/{subject}", await console.get("usage/key"))
    failure = (await console.client.get("nothing")).json()
    jsonschema.validate(failure, SCHEMA["components"]["schemas"]["Failure"])
    assert (await console.get("openapi.json"))["info"]["title"] == "Parley admin API"

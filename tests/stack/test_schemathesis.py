"""Both APIs, held to their own descriptions by schemathesis, through the real front: what is as described is
understood, what is not is refused, and every answer is one that the description tells of.

How it asks is in `described/`: a configuration for each API, and the checks that are ours. It is deterministic.
test_schemathesis_checks.py shows that it finds what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.schema import check_error
from tests.stack.described.examination import Examination, examine
from tests.stack.running import ADMIN_KEY, KEY, Stack, until
from tests.upstreams.vendor import python_with

pytestmark = [pytest.mark.vendor, pytest.mark.timeout(600)]

METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "TRACE")
DESCRIPTIONS = {"gateway": "/openapi.json", "console": "/admin/api/v1/openapi.json"}
KEYS = {"gateway": KEY, "console": ADMIN_KEY}

# Nothing of it leads outside, and there is one of each for others to ask for, and one to be deleted.
FILE = {
    "upstreams": [
        {
            "name": name,
            "provider": "echo",
            "models": ["big-model"],
            "credentials": [{"value": "nobody-asks-for-it", "alias": alias} for alias in ("first", "second")],
        }
        for name in ("west", "east")
    ],
    "routes": [{"model": model, "targets": ["west/big-model"]} for model in ("smart", "dull")],
    "keys": [
        {"name": name, "key": f"a-key-that-{name}-has", "limits": {"concurrency": 10}} for name in ("alice", "bob")
    ],
    "limits": [{"model": model, "concurrency": 10} for model in ("big-*", "small-*")],
}


@dataclass(frozen=True)
class Examined:
    """An API that was examined; its stack still runs."""

    stack: Stack
    description: dict[str, Any]
    found: Examination

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Method, path with something in the place of its parameters, and description of each."""
        for path, operations in self.description["paths"].items():
            for method, operation in operations.items():
                yield method.upper(), path.replace("{scope}", "key:alice").replace("{", "").replace("}", ""), operation


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Examined]]:
    """Both at once, each in a stack of its own: what becomes of the console's is nobody's loss."""
    python_with("schemathesis")
    # Schemathesis tries wrong keys at every operation, and from one address.
    settings = {"WRONG_KEYS_PER_MINUTE": "1000000", "REDIS_PATIENCE_SECONDS": "2"}
    files = {"parley.yaml": json.dumps(FILE)}
    with Stack(settings, gateways=2) as one, Stack(settings, gateways=2, console=True, files=files) as other:
        prepare(other)
        with ThreadPoolExecutor() as both:
            stacks = {"gateway": one, "console": other}
            runs = {
                name: both.submit(
                    examine, name, f"{stack.url}{DESCRIPTIONS[name]}", KEYS[name], tmp_path_factory.mktemp(name)
                )
                for name, stack in stacks.items()
            }
        yield {
            name: Examined(stack, httpx.get(f"{stack.url}{DESCRIPTIONS[name]}").json(), runs[name].result())
            for name, stack in stacks.items()
        }


def prepare(stack: Stack) -> None:
    """A request to be found, and a first revision to go back to."""
    headers = {"authorization": f"Bearer {KEY}", "x-request-id": "asked-before-the-others"}
    body = {"model": "smart", "messages": [{"role": "user", "content": "hello"}]}
    httpx.post(f"{stack.url}/v1/chat/completions", json=body, headers=headers).raise_for_status()
    with stack.admin() as admin:
        route = {"targets": ["east/big-model"]}
        admin.put("routes/smart", json=route, headers={"If-Match": "*"}).raise_for_status()


@pytest.mark.parametrize(("name", "least"), [("gateway", 1000), ("console", 3500)])
def test_an_api_is_as_it_is_described(examined: dict[str, Examined], name: str, least: int) -> None:
    api = examined[name]
    report, said = api.found.report, api.found.said
    assert not report["failures"], said[-20_000:]
    assert report["exit_code"] == 0 and report["complete"], said[-4000:]
    assert report["operations"]["tested"] == len(list(api.operations()))
    assert report["test_cases"]["generated"] > least
    logs = [file.read_text() for file in (api.stack.folder / "state" / "logs").glob("*.log")]
    assert logs and not any('"level":"error"' in log for log in logs)


@pytest.mark.parametrize("name", DESCRIPTIONS)
@pytest.mark.parametrize("key", ["", "Bearer", "Bearer wrong", "Basic d3Jvbmc6d3Jvbmc="])
def test_without_its_key_every_operation_is_a_401(examined: dict[str, Examined], name: str, key: str) -> None:
    with httpx.Client(base_url=examined[name].stack.url) as client:
        for method, path, operation in examined[name].operations():
            if "security" not in operation:
                assert name == "gateway" and not path.startswith("/v1/")
                continue
            answer = client.request(method, path, headers={"authorization": key} if key else {})
            assert answer.status_code == 401, (method, path)
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["www-authenticate"] == "Bearer"
            check_error(answer.json())


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_what_is_not_described_is_not_allowed(examined: dict[str, Examined], name: str) -> None:
    known: dict[str, set[str]] = {}
    for method, path, _ in examined[name].operations():
        known.setdefault(path, set()).add(method)
    with httpx.Client(base_url=examined[name].stack.url, headers={"authorization": f"Bearer {KEYS[name]}"}) as client:
        for path, methods in known.items():
            for method in set(METHODS) - methods:
                answer = client.request(method, path)
                assert answer.status_code == 405, (method, path)
                check_error(answer.json())
                allowed = set(answer.headers["allow"].split(", "))
                assert methods <= allowed, (method, path)
                assert method == "TRACE" or allowed - methods <= {"HEAD", "OPTIONS"}, (method, path)


def test_whatever_became_of_the_configuration_the_gateways_follow(examined: dict[str, Examined]) -> None:
    stack = examined["console"].stack
    with stack.admin() as admin:
        assert admin.get("config").json()["problem"] is None
        assert admin.get("revisions", params={"limit": 1}).json()["data"][0]["number"] > 50
        admin.post("revisions/0/rollback", headers={"If-Match": "*"}).raise_for_status()
        for resting in ("upstreams/echo", "upstreams/echo/credentials/open"):
            admin.delete(f"{resting}/rest").raise_for_status()

    def answered() -> bool:
        return all(stack.ask("still here?").status_code == 200 for _ in stack.gateways * 2)

    until(answered, why="the gateways do not answer as they did in the beginning")

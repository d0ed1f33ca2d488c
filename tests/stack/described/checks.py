"""What schemathesis is told about both APIs: what holds of every answer, and which names there are.

It runs in schemathesis' own virtual environment (`hooks` of the configurations here), so nothing of ours is imported.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import schemathesis
from hypothesis import strategies as st

schemathesis.openapi.format("ipvanynetwork", st.ip_addresses().map(str))

MEMBERS = {"message": str, "type": str, "param": (str, type(None)), "code": (str, type(None))}

KNOWN = {
    "/upstreams/{name}": {"name": "west"},
    "/upstreams/{upstream}": {"upstream": "west"},
    "/credentials/{alias}": {"alias": "first"},
    "/sessions/{upstream}": {"upstream": "west"},
    "/routes/{model}": {"model": "smart"},
    "/keys/{name}": {"name": "alice"},
    "/limits/models/{model}": {"model": "big-*"},
    "/limits/{scope}": {"scope": "key:alice"},
    "/revisions/{number}": {"number": 1},
    "/requests/{request_id}": {"request_id": "asked-before-the-others"},
}
"""What means something in the stack of test_schemathesis.py, by parts of paths."""
TO_BE_DELETED = {
    "/upstreams/{name}": {"name": "east"},
    "/credentials/{alias}": {"alias": "second"},
    "/routes/{model}": {"model": "dull"},
    "/keys/{name}": {"name": "bob"},
    "/limits/models/{model}": {"model": "small-*"},
}
"""The same, where it must not be what others ask for."""
AMOUNTS = {"amount", "prompt", "completion", "cached"}

BEYOND_DESCRIPTION = {"configuration_refused", "invalid_cursor"}
"""Codes of refusals of what is as described: what it means for the configuration as a whole, and marks in lists."""

_asked: Counter[str] = Counter()


@schemathesis.check
def failures_have_the_envelope(_ctx: Any, response: Any, case: Any) -> None:
    """OpenAI's envelope, whoever refuses: the endpoint, the framework, nginx. And every answer has the request's id."""
    assert any(response.headers.get("x-request-id") or ()), "there is no x-request-id"
    if response.status_code < 400:
        return
    assert response.headers.get("content-type") == ["application/json"], "it does not say that it is JSON"
    told = json.loads(response.content)
    assert told.keys() == {"error"}, "there is something beside the error"
    for member, kind in MEMBERS.items():
        assert member in told["error"], f"the error has no {member}"
        assert isinstance(told["error"][member], kind), f"the error's {member} is of another type"
    assert told["error"]["message"], "the error says nothing"


@schemathesis.check
def what_is_as_described_is_understood(_ctx: Any, response: Any, case: Any) -> None:
    """In the place of positive_data_acceptance: a request as described may be refused for what it means, and then the
    answer says so by its code (the admin API) or names what is wrong (chat), but never for its form."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    error = json.loads(response.content)["error"]
    if case.operation.path == "/v1/chat/completions":
        assert error["param"], "it is not said which parameter is wrong"
    elif "/usage/" in case.operation.path:
        # A pattern cannot say that 31 February is no date, nor that `from` is before `to`.
        assert error["code"] in {*BEYOND_DESCRIPTION, "invalid_value"}, "it was refused for its form"
    else:
        assert error["code"] in BEYOND_DESCRIPTION, "it was refused for its form"


@schemathesis.check
class EveryOperationAnswersWell:
    """Once at least: who is only ever refused shows nothing of an answer."""

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._answered: set[str] = set()

    def after_response(self, _ctx: Any, response: Any, case: Any) -> None:
        """Note what was answered."""
        self._asked.add(case.operation.label)
        if response.status_code < 300:
            self._answered.add(case.operation.label)

    def after_run(self, _ctx: Any) -> None:
        """Name those that were not."""
        assert self._asked == self._answered, f"never answered well: {sorted(self._asked - self._answered)}"


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Let two requests in three mean what there is: names that are made up only ever meet a 404."""
    if case.operation.path == "/v1/chat/completions":
        _to_echo(case.body)
        return
    if isinstance(case.body, dict) and "/upstreams/" in case.operation.path:
        _to_nobody_outside(case.body)
    _bound_amounts(case.body)
    if case.meta is None or not case.meta.generation.mode.is_positive or case.meta.phase.name.value == "stateful":
        return
    _asked[case.operation.label] += 1
    if _asked[case.operation.label] % 3:
        _name_what_there_is(case)


def _to_echo(body: Any) -> None:
    if isinstance(body, dict) and isinstance(body.get("model", ""), str):
        body["model"] = "echo"


def _to_nobody_outside(body: dict[str, Any]) -> None:
    """An upstream that a test adds must lead nowhere."""
    if isinstance(body.get("provider"), str):
        body["provider"] = "echo"
    for member in ("base_url", "proxy"):
        if isinstance(body.get(member), str):
            body[member] = "http://127.0.0.1:9"
    for item in (body.get("credentials") or {}).values() if isinstance(body.get("credentials"), dict) else ():
        if isinstance(item, dict):
            _to_nobody_outside(item)


def _bound_amounts(body: Any) -> None:
    """A schema cannot say how large an amount in digits may be, nor that a binary fraction ends at six decimals."""
    for each in body if isinstance(body, list) else body.values() if isinstance(body, dict) else ():
        _bound_amounts(each)
    for name in AMOUNTS & body.keys() if isinstance(body, dict) else ():
        if isinstance(body[name], float):
            body[name] = round(body[name], 2)
        elif isinstance(body[name], str) and body[name][:1].isdigit():
            body[name] = "1.25"


def _name_what_there_is(case: Any) -> None:
    path = case.operation.path
    for part, known in {**KNOWN, **(TO_BE_DELETED if _deletes(case) else {})}.items():
        if part in path:
            case.path_parameters |= known
    if "If-Match" in (case.headers or {}):
        case.headers["If-Match"] = "*"
    if case.query and "/usage/" in path:
        for moment in ("from", "to"):
            case.query.pop(moment, None)
    if isinstance(case.body, dict):
        _say_what_there_is(path, case.body)


def _deletes(case: Any) -> bool:
    return bool(case.method == "DELETE" and not case.operation.path.endswith(("/rest", "{scope}")))


def _say_what_there_is(path: str, body: dict[str, Any]) -> None:
    """Bodies that speak of what there is, which a description does not know."""
    if "/routes/" in path:
        if isinstance(body.get("targets"), list):
            body["targets"] = ["west/big-model"]
        if "fallback" in body:
            body["fallback"] = ["big-model"]
    elif path.endswith("/upstreams/{name}") and isinstance(body.get("credentials"), dict):
        body["credentials"] |= {alias: {"value": "nobody-asks-for-it"} for alias in ("first", "second")}
    elif "/credentials/" in path:
        body.pop("disabled", None)  # what is disabled is not lent, and so it is not found by others
    elif path.endswith("/config/import"):
        body["merge"] = True  # else what others changed is gone
    elif path.endswith("/config/restore"):
        body["place"] = ["routes", "smart"]

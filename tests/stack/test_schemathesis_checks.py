"""That schemathesis, told what `described/` tells it, finds what is wrong: an API that is wrong at every address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.stack.described.examination import examine

pytestmark = [pytest.mark.vendor, pytest.mark.timeout(200)]

ID = {"x-request-id": "an-id"}
JSON = {"content-type": "application/json"}
ERROR = {"message": "no", "type": "invalid_request_error", "param": None, "code": "configuration_refused"}


def answer(status: int, body: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, {**ID, **JSON, **headers}, body if isinstance(body, bytes) else json.dumps(body).encode()


ANSWERS = {
    "/right": answer(200, {"well": True}),
    "/crash": answer(500, {"error": {**ERROR, "type": "server_error"}}),
    "/plain-crash": answer(500, b"Internal Server Error", **{"content-type": "text/plain"}),
    "/page": answer(404, b"<html>not found</html>", **{"content-type": "text/html"}),
    "/framework": answer(404, {"detail": "Not Found"}),
    "/more": answer(404, {"error": ERROR, "detail": "Not Found"}),
    "/less": answer(404, {"error": {name: said for name, said in ERROR.items() if name != "param"}}),
    "/number": answer(404, {"error": {**ERROR, "code": 404}}),
    "/silent": answer(404, {"error": {**ERROR, "message": ""}}),
    "/nameless": answer(200, {"well": True}, **{"x-request-id": ""}),
    "/misunderstood": answer(400, {"error": {**ERROR, "code": "invalid_value"}}),
    "/unheard-of": answer(418, {"error": ERROR}),
    "/another-shape": answer(200, {"well": "very"}),
}
"""One answer each, whatever is asked."""

FOUND = {
    "Server error": {"/crash", "/plain-crash"},
    "Response violates schema": {"/another-shape"},
    "Undocumented status code": {"/unheard-of"},
    "`failures_have_the_envelope`": {
        *("/plain-crash", "/page", "/framework", "/more", "/less", "/number", "/silent", "/nameless"),
    },
    "`what_is_as_described_is_understood`": {"/misunderstood"},
    "`EveryOperationAnswersWell`": set(),
}
"""What schemathesis is to find, and where; the last is said of the API as a whole."""

REASONS = (
    "it does not say that it is JSON",
    "there is something beside the error",
    "the error has no param",
    "the error's code is of another type",
    "the error says nothing",
    "there is no x-request-id",
    "it was refused for its form",
    "never answered well: ['GET /crash', 'GET /framework', 'GET /less',",
)
"""Why, in the words of checks.py."""


def description() -> dict[str, Any]:
    well = {"type": "object", "properties": {"well": {"type": "boolean"}}, "required": ["well"]}
    good = {"description": "Well.", "content": {"application/json": {"schema": well}}}
    bad = {
        "description": "Not well.",
        "content": {kind: {} for kind in ("application/json", "text/html", "text/plain")},
    }
    responses = {"200": good, **dict.fromkeys(("400", "404", "500"), bad)}
    get = {"get": {"operationId": "ask", "responses": responses}}
    return {"openapi": "3.1.0", "info": {"title": "wrong", "version": "1"}, "paths": dict.fromkeys(ANSWERS, get)}


class Wrong(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = ANSWERS.get(self.path) or answer(200, description())
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Wrong)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/openapi.json"
    server.shutdown()
    thread.join()
    server.server_close()


def test_whatever_is_wrong_is_found_and_nothing_else(url: str, tmp_path: Path) -> None:
    found = examine("broken", url, "any", tmp_path)
    assert found.report["exit_code"] == 1
    places = {
        failure["title"].removeprefix("Custom check failed: "): set(failure["operations"])
        for failure in found.report["failures"]
    }
    assert places == {title: {f"GET {path}" for path in paths} for title, paths in FOUND.items()}
    for reason in REASONS:
        assert reason in found.said

"""What is told, and with which exit code, when Parley cannot be asked or says no; limits, usage, models, status."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.servers import free_port
from tests.services.command.conftest import KEY, Parley

Answer = tuple[int, bytes]


def envelope(status: int, code: str, message: str) -> Answer:
    return status, json.dumps({"error": {"message": message, "type": "x", "param": None, "code": code}}).encode()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[tuple[str, str, dict[str, str]]]]]:
    """A front that gives these answers, one after the other; what it was asked."""
    servers: list[ThreadingHTTPServer] = []

    def started(*answers: Answer) -> list[tuple[str, str, dict[str, str]]]:
        asked: list[tuple[str, str, dict[str, str]]] = []

        class Stub(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked.append(
                    (self.command, self.path, {k.lower(): v for k, v in self.headers.items()} | {"": body.decode()})
                )
                status, content = answers[min(len(asked), len(answers)) - 1]
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("etag", f'"r{len(asked)}"')
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PARLEY_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("ADMIN_KEY", KEY)
        return asked

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (envelope(404, "unknown_url", "Invalid URL (GET /admin)."), 3, "There is no admin API at"),
        (envelope(502, "bad_gateway", "No console could be reached."), 3, "no console behind it does"),
        (envelope(503, "bad_gateway", "No console could be reached."), 3, "no console behind it does"),
        (envelope(503, "state_unavailable", "Redis does not answer."), 3, "Redis does not answer"),
        (envelope(401, "invalid_api_key", "No."), 1, "ADMIN_KEY is not that of the Parley at"),
        (envelope(429, "rate_limit_exceeded", "Too many wrong keys."), 1, "Too many wrong keys."),
        (envelope(412, "precondition_failed", "It is at 7."), 1, "Somebody else changed the configuration meanwhile"),
        ((200, b"<html>"), 3, "is not Parley"),
        ((500, b"<html>"), 3, "is not Parley (status 500)"),
    ],
)
def test_each_failure_has_its_sentence_and_its_code(
    nowhere: Parley, stub: Callable[..., object], answer: Answer, code: int, says: str
) -> None:
    stub(answer)
    for words in (("keys", "list"), ("keys", "disable", "alice"), ("usage", "--csv"), ("status",)):
        if answer[0] == 200 and "--csv" in words:
            continue  # CSV is whatever text there is
        said = nowhere(*words, code=code)
        assert says in said.err and said.out == "", words
        assert KEY not in said.err


def test_nobody_there(nowhere: Parley, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_KEY", KEY)
    port = free_port()
    for words in (("--url", f"http://127.0.0.1:{port}"), ()):
        monkeypatch.setenv("NGINX_PORT", str(port))
        said = nowhere("keys", "list", *words, code=3)
        assert f"Nobody answers at http://127.0.0.1:{port}" in said.err


def test_a_key_that_is_not_known_here(nowhere: Parley) -> None:
    assert "ADMIN_KEY is not known here" in nowhere("keys", "list", code=2).err


def test_no_address(nowhere: Parley, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_KEY", KEY)
    for url in ("127.0.0.1:8088", "ftp://127.0.0.1", "http://"):
        assert "is no address such as" in nowhere("keys", "list", "--url", url, code=2).err


@pytest.mark.parametrize("url", ["http://me:canary-1@127.0.0.1:1", "http://me:canary-1@[", "ftp://me:canary-1@host"])
def test_an_address_with_a_password_is_refused_and_not_repeated(
    nowhere: Parley, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ADMIN_KEY", KEY)
    said = nowhere("keys", "list", "--url", url, code=2)
    assert "ddress" in said.err and "canary" not in said.err + said.out


def test_where_and_which_key_come_from_env_file_too(
    nowhere: Parley, console: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"PARLEY_URL={console}/v1\nADMIN_KEY='{KEY}'\n")
    nowhere("keys", "list")
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.setenv("ADMIN_KEY", "another-key-than-that")
    assert "is not that of the Parley" in nowhere("keys", "list", code=1).err
    nowhere("keys", "list", "--admin-key-file", "key", "--url", console)
    assert "cannot be read" in nowhere("keys", "list", "--admin-key-file", "no-key", code=2).err


def test_an_idempotent_change_is_made_upon_whatever_is_there(
    nowhere: Parley, stub: Callable[..., list[tuple[str, str, dict[str, str]]]]
) -> None:
    asked = stub((200, b"{}"))
    nowhere("keys", "disable", "alice")
    assert [(method, path, headers["if-match"]) for method, path, headers in asked] == [
        ("PATCH", "/admin/api/v1/keys/alice", "*")
    ]


def test_a_rotation_is_tried_once_more_when_only_something_else_was_changed(
    nowhere: Parley, stub: Callable[..., list[tuple[str, str, dict[str, str]]]]
) -> None:
    key, stale = (200, b'{"prefix": "sk-parley-1"}'), envelope(412, "precondition_failed", "It is at 7.")
    asked = stub(key, stale, key, (200, b'{"key": "sk-parley-2"}'))
    assert nowhere("keys", "rotate", "alice", "--quiet").out == "sk-parley-2\n"
    assert [headers.get("if-match") for method, _, headers in asked if method == "POST"] == ['"r1"', '"r3"']
    asked = stub(key, stale, (200, b'{"prefix": "sk-parley-9"}'))
    assert "Somebody else changed" in nowhere("keys", "rotate", "alice", code=1).err
    assert [method for method, *_ in asked] == ["GET", "POST", "GET"]


def test_an_import_is_made_upon_what_was_seen_and_not_again(
    nowhere: Parley, stub: Callable[..., list[tuple[str, str, dict[str, str]]]], tmp_path: Path
) -> None:
    (tmp_path / "archive.json").write_text('{"format": "parley-configuration-1", "changes": {}}')
    asked = stub((200, b"{}"), envelope(412, "precondition_failed", "It is at 7."))
    assert "nothing was done" in nowhere("config", "import", "archive.json", code=1).err
    assert [(method, headers.get("if-match")) for method, _, headers in asked] == [("GET", None), ("POST", '"r1"')]


def test_a_list_is_read_to_its_end(nowhere: Parley, stub: Callable[..., list[tuple[str, str, dict[str, str]]]]) -> None:
    def page(name: str, more: bool) -> Answer:
        limit = {"scope": name, "kind": "key", "name": name, "budgets": [], "requests_per_minute": None}
        limit |= dict.fromkeys(("requests_per_day", "tokens_per_minute", "tokens_per_day", "concurrency"))
        return 200, json.dumps({"data": [limit], "has_more": more, "next": "n1" if more else None}).encode()

    asked = stub(page("key:alice", True), page("key:bob", False))
    assert [one["name"] for one in nowhere("limits", "list", "--json").json] == ["key:alice", "key:bob"]
    assert [path.partition("?")[2] for _, path, _ in asked] == ["limit=1000", "limit=1000&after=n1"]


def test_limits_are_put_seen_and_reset(parley: Parley) -> None:
    parley("limits", "put", "echo/*", "--rpm", "5", "--budget", "100tokens/day")
    parley("keys", "create", "alice", "--concurrency", "2")
    assert parley("limits", "models").rows == [["echo/*", "5 rpm, 100 tokens/day", "changes"]]
    rows = {row[0]: row[1:] for row in parley("limits", "list").rows}
    assert rows["key:alice"] == ["0/2"] and rows["model:echo/*"][0] == "0/5"
    assert parley("limits", "list", "--kind", "key").rows == [["key:alice", "0/2"]]
    assert parley("limits", "show", "model:echo/*", "--json").json["requests_per_minute"] == {"limit": 5, "used": 0}
    parley("limits", "reset", "model:echo/*")
    parley("limits", "remove", "echo/*")
    assert "No models are limited" in parley("limits", "models").err
    assert "Nothing of the name 'model:echo/*'" in parley("limits", "show", "model:echo/*", code=1).err
    assert "Say how much" in parley("limits", "put", "echo/*", code=2).err


def test_usage_of_nobody(parley: Parley) -> None:
    assert "Nothing was used" in parley("usage").err
    csv = parley("usage", "model", "--csv", "--from", "2026-01-01", "--to", "2026-01-02", "--grain", "day").out
    assert csv.startswith("name,requests,failed,tokens") and csv.count("\n") == 1
    assert "from must be before to" in parley("usage", "--from", "1h", "--to", "2h", code=1).err
    assert "choose one" in parley("usage", "--csv", "--json", code=2).err
    assert "is no moment such as" in parley("usage", "--from", "yesterday", code=2).err


def test_models_are_those_of_a_caller(
    nowhere: Parley, stub: Callable[..., list[tuple[str, str, dict[str, str]]]], tmp_path: Path
) -> None:
    found = {"data": [{"id": "big", "owned_by": "east"}, {"id": "evil\x1b[2J", "owned_by": "west"}]}
    (tmp_path / "key").write_text("sk-of-a-caller")
    asked = stub((200, json.dumps(found).encode()), (200, json.dumps(found).encode()), envelope(401, "x", "No."))
    assert nowhere("models", "--upstream", "east", "--key-file", "key").rows == [["big", "east"]]
    assert asked[0][1:2] == ("/v1/models",) and asked[0][2]["authorization"] == "Bearer sk-of-a-caller"
    assert "\x1b" not in nowhere("models").out
    assert "Callers need a key here" in nowhere("models", code=1).err


def test_status_is_the_same_for_programs(parley: Parley) -> None:
    told = parley("status", "--json", code=1).json
    assert "keeper" in [problem["what"] for problem in told["problems"]], "there is none in these tests"
    said = parley("status", code=1).out
    assert "No keeper is alive" in said and "1 console" in said

"""Promise 12, secrets cannot be logged: a canary in every secret, every failure gone through, every output searched.

The upstreams are malicious here: whatever they refuse, they say our credential back in it, in every place where a text
can stand. One stack goes through all of it; then its answers, logs, files, processes and all of Redis are searched.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import redis

from command import ports
from parley.configuration import read_catalog
from parley.configuration.environment import read_settings
from parley.providers import make_providers
from parley.sealed import Secret
from parley.settings import ConfigurationError
from parley.state.address import BadAddress, dialer
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets
from tests.contents import contents, spelled
from tests.servers import RedisServer
from tests.stack.canaries import Canaries
from tests.stack.operating import TOLD, Operator
from tests.stack.rests import forget_rests
from tests.stack.running import Stack, until
from tests.upstreams.running import Emulator

canaries = Canaries()
WORDS = "the words of a conversation are nobody's affair"
TOKEN = "__Secure-next-auth.session-token"
WORKSPACE = "workspaces/6f0d3c1e-6a52-4c51-9a54-0d0f6a3f0001"


@dataclass
class Haul:
    """Everything that one stack said and kept."""

    outputs: dict[str, bytes] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
    """Codes of the failures that callers saw."""
    used: set[str] = field(default_factory=set)
    """Canaries that reached an upstream."""
    issued: list[str] = field(default_factory=list)
    """Canaries that are keys which were given out."""


class Sung(NamedTuple):
    """A fault in which the upstream says our credential back."""

    fault: str
    params: dict[str, Any]
    route: str | None = None
    credential: str | None = None


def of_openai(secret: str) -> list[Sung]:
    text = f"I know you: {secret}"
    said = {"message": text, "code": secret, "type": secret, "param": secret, "headers": {"x-song": secret}}
    refusals = [
        Sung("status", {**said, "status": status}) for status in (400, 401, 402, 403, 404, 409, 413, 422, 429, 500, 503)
    ]
    shapes = [Sung("status", {**said, "status": 400, "shape": shape}) for shape in ("string", "detail", "text", "html")]
    error = {"message": text, "type": secret, "code": secret, "param": secret}
    page = f"<html><title>Just a moment...</title>{secret}</html>"
    return [
        *refusals,
        *shapes,
        Sung("error_in_200", {"error": error}),
        Sung("error_in_200", {"error": text}),
        Sung("error_frame", {"error": error, "chunks": 0}),
        Sung("error_frame", {"error": error}),
        Sung("error_frame", {"error": text}),
        Sung("error_frame", {"error": {"message": secret}}),
        Sung("raw", {"text": f"data: {secret}\n\n"}),
        Sung("raw", {"text": json.dumps({"choices": secret}), "content_type": "application/json"}),
        Sung("raw", {"text": page, "content_type": "text/html", "status": 403}),
        Sung("redirect", {"location": f"/elsewhere?key={secret}"}),
        Sung("rate_limit", {**said, "headers": {"retry-after": secret}}),
        Sung("reset", {"bytes": 600}),
        Sung("reset", {"bytes": 0}),
        Sung("empty_body", {}),
        Sung("no_finish", {}),
    ]


def of_gptomni(secret: str) -> list[Sung]:
    texts = [
        "unauthorized_json", "forbidden_json", "bad_request", "too_large", "rate_limit", "rate_limit_text", "quota",
        "server_error", "bad_gateway_html", "cloudflare_403", "login_html_200",
    ]  # fmt: skip
    return [
        *(Sung(name, {"text": f"I know you: {secret}", "headers": {"x-song": secret}}) for name in texts),
        Sung("error_json_200", {"text": json.dumps({"error": f"I know you: {secret}"})}),
        Sung("bad_request", {"text": json.dumps({"error": {"message": secret, "code": secret}})}),
        Sung("redirect_login", {"location": f"/zh/login?was={secret}"}),
        Sung("roll", {}),
        Sung("invalid_utf8", {}),
        Sung("empty", {}),
        Sung("reset", {}),
        Sung("cut", {}),
    ]


def of_h2ogpte(secret: str, create: str) -> list[Sung]:
    text = f"I know you: {secret}"
    answers = [(status, "json") for status in (401, 403, 404, 429, 500, 503)] + [(500, "text"), (503, "html")]
    return [
        *(
            Sung(f"http_{status}", {"message": text, "body": body}, place)
            for place in (create, "ws")
            for status, body in answers
        ),
        Sung("redirect_away", {"to": f"/login?was={secret}"}, create),
        Sung("waf", {"status": 403}, "ws"),
        Sung("create_error", {"error": text}, create),
        Sung("ce", {"error": text, "error_type": secret}, "ws"),
        Sung("ce", {"error": text, "in_body": True, "at": "mid_cp"}, "ws"),
        Sung("ce_context", {"error": f"maximum context length {secret}"}, "ws"),
        Sung("ce_cost", {"error": f"LLM cost limit exceeded: {secret}"}, "ws"),
        Sung("ce_model", {"error": text}, "ws"),
        Sung("cp_error", {"error": text}, "ws"),
        Sung("close", {"stored": False, "at": "after_cx"}, "ws"),
        Sung("not_json", {}, "ws"),
        Sung("empty", {}, "ws"),
    ]


def behind_the_scenes_of_h2ogpte() -> list[Sung]:
    """What goes wrong with the calls that nobody waits for: by the browser's sign-in, and by the key."""
    web = f"I know you: {canaries['h2o_cookie']} and {canaries['h2o_csrf']}"
    key = f"I know you: {canaries['h2o_key']}"
    owner = f"key:{canaries['h2o_key']}"
    return [
        Sung("delete_refused", {"error": web}, None, "somebody"),
        Sung("http_500", {"message": web}, "rpc/job", "somebody"),
        Sung("http_500", {"message": web}, "rpc/lang", "somebody"),
        Sung("http_403", {"message": web}, "rpc/meta", "somebody"),
        Sung("http_500", {"message": web}, "bootstrap", "somebody"),
        Sung("http_500", {"message": key}, "api/v1/chats", owner),
        Sung("http_500", {"message": key}, "api/v1/models", owner),
        Sung("http_500", {"message": key}, "api/v1/chats/delete_job", owner),
        Sung("http_401", {"message": key}, "api/v1/users/current/roles", owner),
    ]


class Run:
    """The stack, its stand-ins, and the haul so far."""

    def __init__(self, stack: Stack, http: httpx.Client, stand_ins: dict[str, Emulator]):
        self.stack = stack
        self.http = http
        self.stand_ins = stand_ins
        self.store = stack.store()
        self.haul = Haul()
        self._answers: list[bytes] = []

    def call(
        self, method: str, path: str, key: str | None = None, *, issues: bool = False, **more: Any
    ) -> httpx.Response:
        """One request, whose answer is kept with its head; if it `issues` a key, without that key, said once."""
        headers = {"authorization": f"Bearer {canaries['master'] if key is None else key}"} if key != "" else {}
        response = self.http.request(method, path, headers=headers | more.pop("headers", {}), **more)
        head = [f"{name}: {value}".encode() for name, value in response.headers.items()]
        content = response.content.replace(response.json()["key"].encode(), b"", 1) if issues else response.content
        self._answers.append(b"\n".join([*head, content]))
        return response

    def ask(self, model: str, key: str | None = None, *, stream: bool = False) -> httpx.Response:
        messages = [{"role": "user", "content": f"!say:{WORDS}"}]
        body = {"model": model, "messages": messages, "stream": stream}
        answer = self.call("POST", "/v1/chat/completions", key, json=body)
        self.haul.codes |= set(codes_in(answer))
        return answer

    def sing(self, model: str, stand_in: str, songs: Iterable[Sung]) -> None:
        """Ask for each fault, streaming every other time."""
        for number, song in enumerate(songs):
            forget_rests(self.store, model.partition("/")[0])
            self.stand_ins[stand_in].fault(song.fault, times=1, route=song.route, **song.params)
            self.ask(model, stream=number % 2 == 0)

    @property
    def answers(self) -> bytes:
        return b"\n\n".join(self._answers)


def codes_in(answer: httpx.Response) -> Iterator[str]:
    for line in answer.text.splitlines():
        data = line.removeprefix("data: ")
        if data.startswith('{"error"'):
            yield str(json.loads(data)["error"]["code"])


@pytest.fixture(scope="module")
def haul() -> Iterator[Haul]:
    with ExitStack() as running:
        enter = running.enter_context
        store = enter(RedisServer(password=canaries["redis"], persistent=True))
        stand_ins = {name: enter(Emulator(name)) for name in ("openai", "h2ogpte", "gptomni")}
        stand_ins["operated"] = enter(Emulator("openai"))
        accept(stand_ins)
        files = {"parley.yaml": parley_yaml(stand_ins), "model-config.json": model_config(stand_ins)}
        variables = environment(store, stand_ins)
        stack = enter(Stack(variables, gateways=1, console=True, files=files))
        run = Run(stack, enter(httpx.Client(base_url=stack.url, timeout=60, trust_env=False)), stand_ins)
        all_goes_well(run)
        all_goes_wrong(run)
        behind_the_scenes(run)
        is_operated(run, variables)
        run.haul.outputs |= dict(kept_in_redis(store.url))
        redis_goes_wrong(run, store)
        collect(run, store)
        yield run.haul


def accept(stand_ins: dict[str, Emulator]) -> None:
    """Let the canaries in."""
    stand_ins["openai"].set(keys=[canaries["openai_key"], canaries["hf_token"], canaries["proxied_key"]])
    stand_ins["operated"].set(keys=[canaries["added_key"], canaries["old_key"]])
    stand_ins["gptomni"].set(cookies=[canaries["omni_cookie"]])
    login = {"session": canaries["h2o_cookie"], "csrf": canaries["h2o_csrf"], "username": "somebody"}
    stand_ins["h2ogpte"].set(logins=[login], api_keys=[canaries["h2o_key"]])


def environment(store: RedisServer, stand_ins: dict[str, Emulator]) -> dict[str, str]:
    """Every variable that holds a secret; half of the upstreams are configured here."""
    by_proxy = f"http://somebody:{canaries['env_proxy']}@127.0.0.1:{stand_ins['openai'].port}"
    return {
        "API_MASTER_KEY": canaries["master"],
        "ADMIN_KEY": canaries["admin"],
        "PARLEY_SECRET": canaries["parley_secret"],
        "REDIS_URL": store.url,
        "LOG_LEVEL": "DEBUG",
        "WRONG_KEYS_PER_MINUTE": "1000",  # revoked ones are tried until every gateway has heard
        "ATTEMPTS": "1",
        "MODELS_REFRESH_SECONDS": "1",
        "OPENAI_API_KEY": canaries["openai_key"],
        "OPENAI_BASE_URL": f"{stand_ins['openai'].url}/v1",
        "HF_TOKEN": canaries["hf_token"],
        "HF_BASE_URL": "http://router.invalid/v1",  # the stand-in is the proxy on the way to it
        "HTTP_PROXY": by_proxy,
        "HTTPS_PROXY": by_proxy,
        "IS_GUEST": "false",
        "H2OGPTE_BASE_URL": stand_ins["h2ogpte"].url,
        "H2OGPTE_SESSION": canaries["h2o_cookie"],
        "H2OGPTE_CSRF_TOKEN": canaries["h2o_csrf"],
        "H2OGPTE_WORKSPACE_ID": WORKSPACE,
        "H2OGPTE_POOL_SIZE": "0",
        "GPTOMNI_BASE_URL": stand_ins["gptomni"].url,
        "GPTOMNI_CREDENTIALS": json.dumps([f"{TOKEN}={canaries['omni_cookie']}; other={canaries['omni_other']}"]),
        "GPTOMNI_PER_MINUTE": "0",
        "GPTOMNI_CONCURRENCY": "0",
        "GPTOMNI_PROBE": "true",
        "ALICE_KEY": canaries["alice_key"],  # these are for parley.yaml
        "H2O_KEY": canaries["h2o_key"],
        "PROXIED_KEY": canaries["proxied_key"],
        "PROXY": f"somebody:{canaries['proxy']}@127.0.0.1:{ports.free(1)[0]}",  # where nobody listens
        "PROXIED_COOKIE": canaries["proxied_cookie"],
        "PROXIED_CSRF": canaries["proxied_csrf"],
    }


def parley_yaml(stand_ins: dict[str, Emulator]) -> str:
    """The other half: by API key, as a guest, and behind proxies of every kind. (JSON is YAML.)"""
    openai, h2ogpte, gptomni = (stand_ins[name].url for name in ("openai", "h2ogpte", "gptomni"))
    proxied = {"value": "${PROXIED_KEY}", "proxy": "http://${PROXY}"}
    browser = {"cookie": "${PROXIED_COOKIE}", "csrf": "${PROXIED_CSRF}", "proxy": "http://${PROXY}"}
    keyed = {"provider": "h2ogpte", "base_url": h2ogpte, "pool": {"size": 0}, "options": {"recovery_seconds": 0.1}}
    entries = [
        {"name": "keyed", **keyed, "credentials": [{"api_key": "${H2O_KEY}"}]},
        {"name": "warm", **keyed, "credentials": [{"api_key": "${H2O_KEY}"}], "pool": {"size": 1}},
        {"name": "guest", **keyed, "guests": 1},
        {"name": "far", "provider": "openai", "base_url": f"{openai}/v1", "credentials": [proxied]},
        {
            "name": "farther",
            "provider": "openai",
            "base_url": f"{openai}/v1",
            "credentials": ["${PROXIED_KEY}"],
            "proxy": "socks5://${PROXY}",
        },
        {"name": "far-h2o", **keyed, "credentials": [browser], "options": {"workspace": WORKSPACE}},
        {
            "name": "far-omni",
            "provider": "gptomni",
            "base_url": gptomni,
            "models": ["gptomni"],
            "credentials": [{"value": TOKEN + "=${PROXIED_COOKIE}", "proxy": "http://${PROXY}"}],
        },
    ]
    return json.dumps({"upstreams": entries, "keys": [{"name": "alice", "key": "${ALICE_KEY}"}]})


def model_config(stand_ins: dict[str, Emulator]) -> str:
    """A key and a credential of openai-style-api's kind. Its file holds them in clear, as its operator wrote it."""
    config = {"api_base": f"{stand_ins['operated'].url}/v1", "api_key": canaries["old_key"], "model": "demo-mini"}
    return json.dumps([{"token": canaries["old_token"], "type": "openai", "config": config}])


REAL = {
    "openai/demo-mini": "openai",
    "h2ogpte/auto": "h2ogpte",
    "keyed/auto": "h2ogpte",
    "warm/auto": "h2ogpte",
    "guest/auto": "h2ogpte",
    "gptomni": "gptomni",
}
FAR = ["far/demo-mini", "farther/demo-mini", "far-h2o/auto", "far-omni/gptomni", "huggingface/demo-mini"]


def all_goes_well(run: Run) -> None:
    for model in REAL:
        until(lambda: run.ask(model).status_code == 200, 20, f"{model} does not answer")  # noqa: B023  # at once
        assert "data: [DONE]" in run.ask(model, stream=True).text
    for path in ("/", "/health", "/health/ready", "/health/live", "/v1/models", "/openapi.json", "/docs", "/metrics"):
        run.call("GET", path)


def all_goes_wrong(run: Run) -> None:
    cookie = f"{TOKEN}={canaries['omni_cookie']}"
    both = f"{canaries['h2o_cookie']} and {canaries['h2o_csrf']}"
    run.sing("openai/demo-mini", "openai", of_openai(canaries["openai_key"]))
    run.sing("gptomni", "gptomni", of_gptomni(f"{cookie} or {canaries['omni_cookie']} or {canaries['omni_other']}"))
    run.sing("h2ogpte/auto", "h2ogpte", of_h2ogpte(both, "rpc/db/create_chat_session"))
    run.sing("keyed/auto", "h2ogpte", of_h2ogpte(canaries["h2o_key"], "api/v1/chats"))
    for model in FAR:
        run.ask(model)
        run.ask(model, stream=True)
    wrong = canaries["wrong_key"]
    run.call("GET", "/v1/models", key=wrong)
    run.call("POST", "/v1/chat/completions", key=wrong, json={"model": "echo", "messages": []})
    run.call("GET", "/v1/models", key="")
    run.call("POST", "/v1/chat/completions", content=b"{" + canaries["words"].encode())
    run.call("POST", "/v1/chat/completions", json={"model": "echo", "messages": canaries["words"]})
    run.call("POST", "/v1/chat/completions", json={"model": canaries["words"], "messages": [{"role": "nobody"}]})


def behind_the_scenes(run: Run) -> None:
    """The keeper's calls: deleting, listing models, renewing, probing."""
    h2ogpte, openai, gptomni = (run.stand_ins[name] for name in ("h2ogpte", "openai", "gptomni"))
    for song in behind_the_scenes_of_h2ogpte():
        h2ogpte.fault(song.fault, times=2, route=song.route, credential=song.credential, **song.params)
    openai.fault("status", times=2, route="models", status=500, message=canaries["openai_key"])
    gptomni.fault("server_error", times=2, route="session", text=canaries["omni_cookie"])
    h2ogpte.control("POST", "expire", {"credential": "somebody"})
    for upstream in ("h2ogpte", "keyed", "warm", "openai", "gptomni"):
        forget_rests(run.store, upstream)
    for model in REAL:
        run.ask(model)
    time.sleep(3)  # its rounds come every half second, and slower after each failure


def is_operated(run: Run, variables: dict[str, str]) -> None:
    """The admin API and the command, and upstreams that sing of what was added by them."""
    operator = Operator(run.stack, run.call, canaries, variables, run.stand_ins["operated"].url)
    operator.configures()
    until(lambda: run.ask("added/demo-mini").status_code == 200, why="an upstream that was added does not answer")
    for key in ("alice_key", "old_token"):
        assert run.ask("demo-mini", canaries[key]).status_code == 200, key
    known = [canaries[name] for name in ("added_key", "added_header")]
    run.sing("added/demo-mini", "operated", [song._replace(route="chat") for song in of_openai(" and ".join(known))])
    for model in ("lost/demo-mini", "proxied/demo-mini"):
        run.ask(model)
        run.ask(model, stream=True)
    forget_rests(run.store, "added")
    operator.gives_out_keys(lambda key, model: run.ask(model, key).status_code)
    operator.errs()
    operator.types()
    operator.examines()
    operator.moves()
    operator.looks(run.ask("added/demo-mini").headers["x-request-id"])
    run.haul.issued = operator.issued
    run.haul.outputs |= operator.outputs


def redis_goes_wrong(run: Run, store: RedisServer) -> None:
    """Another password, then nobody there."""
    with redis.Redis.from_url(store.url) as line:
        line.config_set("requirepass", canaries["another_password"])
        line.client_kill_filter(_type="normal", skipme=True)
        line.client_kill_filter(_type="pubsub", skipme=True)
        degraded = lambda: run.call("GET", "/health").json()["redis"]["status"] != "ok"  # noqa: E731
        until(degraded, 10, "nobody noticed that the password is wrong")
        run.ask("echo")
        line.config_set("requirepass", canaries["redis"])
    store.kill()
    run.ask("echo")
    run.call("GET", "/health")
    time.sleep(0.5)
    store.start()


def kept_in_redis(url: str) -> Iterator[tuple[str, bytes]]:
    """Every key as it is read and as it is dumped, and what Redis says of itself."""
    with redis.Redis.from_url(url) as line:
        line.config_set("rdbcompression", "no")  # so that a search finds what is in a dump
        line.save()
        for key, held in contents(url):
            dumped: Any = line.dump(key)
            yield f"redis: {key}", b"\n".join([held, dumped or b""])
        yield "redis: CLIENT LIST", spelled(line.client_list())
        yield "redis: SLOWLOG", spelled(line.slowlog_get(1000))
        yield "redis: CONFIG", spelled(line.info())


def collect(run: Run, store: RedisServer) -> None:
    """Everything else: what was answered, logged, written, and how the processes were called."""
    haul, stack = run.haul, run.stack
    haul.outputs["answers"] = run.answers
    for path in [*stack.folder.rglob("*"), *Path(store._folder).rglob("*")]:
        if path.is_file() and path.name != "model-config.json":
            haul.outputs[f"file: {path.name}"] = haul.outputs.get(f"file: {path.name}", b"") + path.read_bytes()
    for part in [stack.nginx, *stack.gateways, *stack.keepers, *stack.consoles]:
        haul.outputs[f"arguments: {part.name}"] = Path(f"/proc/{part.pid}/cmdline").read_bytes()
    for part in [*stack.gateways, *stack.keepers, *stack.consoles]:
        haul.outputs[f"metrics: {part.name}"] = httpx.get(f"{part.url}/metrics").raise_for_status().content
    seen = json.dumps([stand_in.stats() for stand_in in run.stand_ins.values()])
    haul.used = set(canaries.heard_in(seen.encode()))


# --- what the search finds ----------------------------------------------------------------------------------------


def quiet(haul: Haul, kind: str) -> None:
    outputs = {name: output for name, output in haul.outputs.items() if name.startswith(kind)}
    assert outputs, f"there is no {kind} to search"
    heard = {name: found for name, output in outputs.items() if (found := canaries.heard_in(output))}
    shown = [line for name in heard for line in outputs[name].splitlines() if canaries.heard_in(line)][:10]
    assert not heard, f"{heard}\n" + b"\n".join(line[:1000] for line in shown).decode(errors="replace")


def test_no_answer_repeats_a_secret(haul: Haul) -> None:
    quiet(haul, "answers")


def test_no_file_and_no_log_holds_a_secret(haul: Haul) -> None:
    """The logs at DEBUG, nginx's configuration, parley.yaml, the state folder, Redis' append-only file."""
    quiet(haul, "file: ")
    logs = {"gateway-1.log", "keeper-1.log", "console-1.log", "nginx.log", "nginx.conf", "parley.yaml", "archive.json"}
    assert {f"file: {name}" for name in logs} <= haul.outputs.keys()
    for kind in (".aof", "dump.rdb"):
        assert any(name.endswith(kind) and output for name, output in haul.outputs.items())


def test_no_command_repeats_a_secret(haul: Haul) -> None:
    quiet(haul, "command: ")
    assert sum(name.startswith("command: ") for name in haul.outputs) > 2 * len(TOLD)


def test_a_key_that_was_issued_was_shown_once(haul: Haul) -> None:
    """The searches above hear it anywhere but where it was made, in the answer or the output that it was cut from."""
    assert len(haul.issued) == 5
    assert canaries.heard_in(canaries[haul.issued[0]].encode()) == [haul.issued[0]]


def test_redis_holds_no_secret_in_clear(haul: Haul) -> None:
    quiet(haul, "redis: ")
    assert sum(":cred:" in name for name in haul.outputs) >= 10


def test_no_figure_is_labelled_with_a_secret(haul: Haul) -> None:
    quiet(haul, "metrics: ")
    assert b"gen_ai_client_operation_duration_seconds_count" in haul.outputs["metrics: gateway-1"]


def test_no_process_is_called_by_a_secret(haul: Haul) -> None:
    quiet(haul, "arguments: ")


def test_a_guests_sign_in_is_sealed_too(haul: Haul) -> None:
    """Its cookie and its CSRF token are not ours to choose, but the stand-in's have a look of their own."""
    for name, output in haul.outputs.items():
        assert not re.search(rb"s%3A[\w-]{24}|csrf-[0-9a-f]{24}", output), name


def test_nobodys_words_are_kept(haul: Haul) -> None:
    for name, output in haul.outputs.items():
        assert name == "answers" or WORDS.encode() not in output, name


def test_the_canaries_were_where_they_could_sing(haul: Haul) -> None:
    """Else this file would prove nothing: they reached the upstreams, and every kind of failure was met."""
    assert haul.used >= {"openai_key", "omni_cookie", "omni_other", "h2o_key", "added_key", "old_key"}
    assert haul.codes >= {
        "upstream_authentication_error", "rate_limit_exceeded", "insufficient_quota", "context_length_exceeded",
        "upstream_challenge", "upstream_error", "upstream_malformed", "upstream_truncated", "upstream_empty",
        "upstream_unreachable", "upstream_credential_expired", "model_not_found", "server_is_overloaded",
        "request_too_large",
    }, haul.codes  # fmt: skip


# --- configurations that cannot be used ---------------------------------------------------------------------------

UNUSABLE: dict[str, dict[str, str]] = {
    "JSON that is cut": {"GPTOMNI_CREDENTIALS": '["{canary}'},
    "a list in the list": {"OPENAI_CREDENTIALS": '[["{canary}"]]'},
    "no list": {"HF_CREDENTIALS": '"{canary}"'},
    "a remark behind a cookie": {"H2OGPTE_SESSION": "{canary}   # from my browser", "IS_GUEST": "false"},
    "a remark behind a token": {"H2OGPTE_CSRF_TOKEN": "{canary} (see above)", "IS_GUEST": "false"},
    "half a sign-in": {"H2OGPTE_SESSION": "{canary}", "IS_GUEST": "false"},
    "no workspace": {"H2OGPTE_SESSION": "{canary}", "H2OGPTE_CSRF_TOKEN": "{canary}", "IS_GUEST": "false"},
    "a placeholder": {"OPENAI_API_KEY": "change-me-{canary}"},
    "a master key that is a placeholder": {"API_MASTER_KEY": "change-me-{canary}"},
    "a number beside a secret": {"OPENAI_API_KEY": "{canary}", "ATTEMPTS": "many"},
    "a workspace that is none": {
        "H2OGPTE_SESSION": "{canary}",
        "H2OGPTE_CSRF_TOKEN": "x-{canary}",
        "IS_GUEST": "false",
        "H2OGPTE_WORKSPACE_ID": "mine   # {canary}",
    },
    "YAML that is none": {"parley.yaml": "upstreams: [name: {canary}, {canary}: }"},
    "YAML of another shape": {"parley.yaml": "upstreams: [{name: a, provider: openai, credentials: [[{canary}]]}]"},
    "an unknown member": {"parley.yaml": "upstreams: [{name: a, provider: openai, credential: [{canary}]}]"},
    "a strange Redis": {"REDIS_URL": "rides://:{canary}@127.0.0.1:1/0"},
    "a Redis with a strange port": {"REDIS_URL": "redis://:{canary}@127.0.0.1:none/0"},
    "a Redis with a strange password": {"REDIS_URL": "redis://:{canary}]@[127.0.0.1:1/0"},
    "an unknown option": {"parley.yaml": "upstreams: [{name: a, provider: openai, options: {key: {canary}}}]"},
    "an option that is no text": {
        "parley.yaml": "upstreams: [{name: a, provider: openai, options: {project: [{canary}]}}]"
    },
    "a route to nowhere": {"parley.yaml": "routes: [{model: a, targets: [b/c]}]", "OPENAI_API_KEY": "{canary}"},
}


def told(which: dict[str, str], folder: Path) -> dict[str, str]:
    """The environment of a case; its parley.yaml is written."""
    environment = {name: text.replace("{canary}", canaries["unusable"]) for name, text in which.items()}
    if (text := environment.pop("parley.yaml", None)) is not None:
        (folder / "parley.yaml").write_text(text)
    return environment


@pytest.mark.parametrize("which", UNUSABLE)
def test_a_refused_configuration_shows_no_secret(which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*os.environ,):
        monkeypatch.delenv(name)
    for name, text in told(UNUSABLE[which], tmp_path).items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigurationError, BadAddress)) as refused:
        settings = read_settings()
        make_providers(read_catalog(settings).catalog, Net(HTTP(), WebSockets(), Browser()))
        dialer(Secret(settings.redis_url.get_secret_value()), "test", 1.0)
    assert str(refused.value) and not canaries.heard_in(str(refused.value).encode()), refused.value


@pytest.mark.parametrize("service", ["gateway", "keeper", "console"])
def test_a_refused_start_shows_no_secret(service: str, tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    address = {"GATEWAY_BIND": f"127.0.0.1:{ports.free(1)[0]}", "ADMIN_KEY": canaries["admin"]}
    done = subprocess.run(
        [sys.executable, "-m", service],
        cwd=tmp_path,
        env={**kept, **address, **told(UNUSABLE["a strange Redis"], tmp_path)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode and b"REDIS_URL must start with" in said
    assert b"Traceback" not in said and not canaries.heard_in(said), said.decode()

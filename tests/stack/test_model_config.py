"""A whole `model-config.json` of openai-style-api through the real front: every type before the stand-in that plays its
service; the tokens are keys, and decide."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.stack.running import KEY, Stack, until
from tests.upstreams.running import Emulator

STAND_INS = ("openai", "azure", "anthropic", "claude_web", "zhipu", "spark", "gemini")

FILE = """// what an operator of openai-style-api would bring along
[
  {"token": "tok-azure", "type": "azure", "config": {  // deployments have names of their own
      "api_base": "AZURE/", "deployment_id": "chat", "api_version": "2023-05-15", "api_key": "azure-key-1",
      "temperature": 0.8}},
  {"token": "tok-openai", "type": "openai", "config": {
      "api_base": "OPENAI/v1/", "api_key": "sk-upstream-1", "model": "demo-mini", "temperature": 0.3, "top_p": 0.5}},
  {"token": "tok-proxy", "type": "proxy", "config": {"api_base": "OPENAI/v1/", "api_key": "sk-upstream-2"}},
  {"token": "tok-claude", "type": "claude", "config": {
      "api_base": "ANTHROPIC", "api_key": "sk-ant-one", "anthropic-version": "2023-06-01", "model": "claude-demo-4-5"}},
  {"token": "tok-web", "type": "claude-web", "config": {
      "api_base": "CLAUDE_WEB", "cookie": "sessionKey=sk-ant-sid01-one", "conversation_id": "xxxxxx",
      "prompt": "{newMessage} \\n {history}", "single_conversation": true}},
  {"token": "tok-zhipu", "type": "zhipu-api", "config": {
      "api_base": "ZHIPU/api/paas/v4", "api_key": "demoid0123456789.demosecret", "model": "chatglm_lite",
      "temperature": 0.8, "top_p": 0.7}},
  {"token": "tok-spark", "type": "xunfei-spark-api", "config": {
      "api_base": "SPARK", "app_id": "demoapp1", "api_key": "demo-api-key", "api_secret": "demo-api-secret",
      "api_model_version": "v3.5", "top_k": 5, "temperature": 0.4}},
  {"token": "tok-gemini", "type": "gemini", "config": {
      "api_base": "GEMINI", "api_key": "AIza-demo-1", "model": "gemini-2.5-demo"}},
  {"token": "tok-bing", "type": "bing-sydney", "config": {"cookie": "real-enough", "style": "balanced"}},
  {"token": "tok-sample", "type": "openai", "config": {"api_base": "OPENAI/v1/", "api_key": "sk-xxxxxx"}},
  {"token": "tok-round", "type": "router", "config": {
      "router_strategy": "round-robin", "token_pool": ["tok-spark", "tok-zhipu", "tok-bing"]}},
  {"token": "tok-random", "type": "router", "config": {
      "router_strategy": "random", "token_pool": ["tok-spark", "tok-zhipu"]}},
  {"token": "tok-parallel", "type": "router", "config": {
      "router_strategy": "parallel", "token_pool": ["tok-openai", "tok-gemini"]}},
  {"token": "tok-names", "type": "model-name-router", "config": {"model-2-token": {
      "default": "tok-openai", "spark": "tok-spark", "balanced": "tok-round" /* a router in a router */}}},
]
"""

SERVED = {
    "tok-azure": "azure-1",
    "tok-openai": "openai-1",
    "tok-proxy": "proxy-1",
    "tok-claude": "claude-1",
    "tok-web": "claude-web-1",
    "tok-zhipu": "zhipu-api-1",
    "tok-spark": "xunfei-spark-api-1",
    "tok-gemini": "gemini-1",
}
"""Who answers each token of one upstream."""


class Move:
    def __init__(self, stack: Stack, emulators: dict[str, Emulator]):
        self.stack, self.emulators = stack, emulators

    def ask(self, token: str, text: str = "!say:hello", *, model: str = "gpt-3.5-turbo", **more: Any) -> Any:
        client = self.stack.client(api_key=token)
        return client.chat.completions.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": text}], **more
        )

    def upstream(self, token: str, **more: Any) -> str:
        return str(self.ask(token, **more).headers["x-parley-upstream"])

    def arrived(self, token: str, **more: Any) -> dict[str, Any]:
        content = self.ask(token, "!report", **more).parse().choices[0].message.content
        report: dict[str, Any] = json.loads(content or "")
        return report


@pytest.fixture(scope="module")
def move() -> Iterator[Move]:
    with ExitStack() as things:
        emulators = {name: things.enter_context(Emulator(name)) for name in STAND_INS}
        text = FILE
        for name, at in emulators.items():
            text = text.replace(f'"{name.upper()}', f'"{at.url}')
        assert not any(f'"{name.upper()}' in text for name in STAND_INS)
        yield Move(things.enter_context(Stack(gateways=2, files={"model-config.json": text})), emulators)


@pytest.mark.parametrize("token", SERVED)
def test_each_token_is_answered_by_its_upstream_whatever_the_model_name(move: Move, token: str) -> None:
    said = move.ask(token, "!say:said by my upstream")
    answer = said.parse()
    assert answer.choices[0].message.content == "said by my upstream"
    assert said.headers["x-parley-upstream"] == SERVED[token]
    assert answer.model == "gpt-3.5-turbo", "the answer says the name that was asked for"


@pytest.mark.parametrize("token", SERVED)
def test_and_streams_word_by_word(move: Move, token: str) -> None:
    client = move.stack.client(api_key=token)
    with client.chat.completions.stream(
        model="gpt-3.5-turbo", messages=[{"role": "user", "content": "!say:one two three four five"}]
    ) as events:
        pieces = sum(event.type == "content.delta" for event in events)
        assert events.get_final_completion().choices[0].message.content == "one two three four five"
    assert pieces > 2


@pytest.fixture(autouse=True)
def _any_model(move: Move) -> None:
    move.emulators["openai"].set(any_model=True)


def test_what_an_entry_says_is_the_default_and_the_model_is_the_entrys(move: Move) -> None:
    body = move.arrived("tok-openai", temperature=1.5)["body"]
    assert (body["model"], body["temperature"], body["top_p"]) == ("demo-mini", 1.5, 0.5)
    assert move.arrived("tok-proxy", model="gpt-4-turbo")["body"]["model"] == "gpt-4-turbo", "none of its own"
    spark = move.arrived("tok-spark")["frame"]["parameter"]["chat"]
    assert (spark["domain"], spark["top_k"], spark["temperature"]) == ("generalv3.5", 5, 0.4)
    assert move.arrived("tok-spark", temperature=1.0)["frame"]["parameter"]["chat"]["temperature"] == 0.5, "as it was"
    assert move.arrived("tok-azure")["path"].startswith("/openai/deployments/chat/")


def test_routers_choose_as_they_did_and_exactly(move: Move) -> None:
    turns = Counter(move.upstream("tok-round") for _ in range(10))
    assert turns == {"xunfei-spark-api-1": 5, "zhipu-api-1": 5}
    drawn = {move.upstream("tok-random") for _ in range(24)}  # all alike: once in eight million runs
    assert drawn == {"xunfei-spark-api-1", "zhipu-api-1"}


def test_parallel_hears_the_first_to_speak(move: Move) -> None:
    move.emulators["openai"].set(first_delay=3.0)
    try:
        assert move.upstream("tok-parallel") == "gemini-1"
    finally:
        move.emulators["openai"].set(first_delay=0.0)


def test_names_choose_where_a_key_was_made_for_that(move: Move) -> None:
    assert move.upstream("tok-names", model="spark") == "xunfei-spark-api-1"
    assert {move.upstream("tok-names", model="balanced") for _ in range(2)} == {"xunfei-spark-api-1", "zhipu-api-1"}
    assert move.upstream("tok-names", model="whatever") == "openai-1"
    listed = move.stack.client(api_key="tok-names").models.list().data
    assert [model.id for model in listed] == ["spark", "balanced", "demo-mini"]


@pytest.mark.parametrize("token", ["tok-bing", "tok-sample", "tok-nobody"])
def test_tokens_of_entries_that_cannot_serve_are_no_keys(move: Move, token: str) -> None:
    with pytest.raises(openai.AuthenticationError):
        move.ask(token)


def test_the_master_key_still_works_and_sees_everything(move: Move) -> None:
    assert move.upstream(KEY, model="claude-1/claude-demo-4-5") == "claude-1"
    assert move.upstream(KEY, model="demo-mini") == "openai-1"
    assert move.upstream(KEY, model="echo") == "echo"
    assert httpx.get(f"{move.stack.url}/v1/models").status_code == 401


def test_the_log_names_callers_and_what_was_left_out_and_no_token(move: Move) -> None:
    said = move.ask("tok-names", model="spark")
    request_id = said.headers["x-request-id"]
    until(lambda: bool(move.stack.records(request_id)))
    (record,) = move.stack.records(request_id)
    assert (record["caller"], record["model"]) == ("model-name-router-1", "spark")
    logs = "\n".join(Path(part.log).read_text() for part in (*move.stack.gateways, *move.stack.keepers))
    for sentence in (
        "entry 9 (bing-sydney) is left out, and its token opens nothing: Bing chat has ended",
        "entry 10 (openai) is left out, and its token opens nothing: its api_key is the sample's placeholder",
        "entry 11 (router): token 3 of its pool is not the token of a usable entry",
        "entry 5 (claude-web): conversation_id and single_conversation would share one conversation",
    ):
        assert sentence in logs
    assert "tok-" not in logs
    with move.stack.store() as store:
        assert not any("tok-" in key for key in store.scan_iter())

"""What Zhipu's v3 API is asked (`upstreams/zhipu.md` section 2.5)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from parley.chat.prompt import Prompt
from parley.dialects.zhipu import v3
from parley.errors import BadRequest, UnsupportedParameter


def asked(*messages: tuple[str, str], **fields: Any) -> dict[str, Any]:
    said = [{"role": role, "content": content} for role, content in messages]
    return v3.encode(msgspec.convert({"messages": said, "model": "chatglm_lite", **fields}, Prompt))


@pytest.mark.parametrize(
    ("messages", "turns"),
    [
        ("u:Hi", "u:Hi"),
        ("s:Brief. u:Hi", "u:Brief. a:ok u:Hi"),
        ("s:Brief. d:Kind. u:Hi", "u:Brief. a:ok u:Kind. a:ok u:Hi"),
        ("u:Hi a:Hello u:How?", "u:Hi a:Hello u:How?"),
        ("u:Hi u:There", "u:Hi\n\nThere"),
        ("u:Hi a:Hello a:You u:How?", "u:Hi a:Hello\n\nYou u:How?"),
        ("a:Hello u:Hi", "u:_ a:Hello u:Hi"),
        ("u:Hi s:Brief. u:Go", "u:Hi\n\nBrief. a:ok u:Go"),
        ("s:Greet.", "u:Greet. a:ok u:_"),
    ],
)
def test_user_and_assistant_speak_by_turns_and_a_user_first_and_last(messages: str, turns: str):
    def read(text: str, names: dict[str, str]) -> list[tuple[str, str]]:
        pairs = [piece.split(":") for piece in text.split(" ")]
        return [(names[name], words.replace("_", " ")) for name, words in pairs]

    roles = {"u": "user", "a": "assistant", "s": "system", "d": "developer"}
    said = asked(*read(messages, roles))["prompt"]
    assert [(turn["role"], turn["content"]) for turn in said] == read(turns, roles)
    assert len(said) % 2 == 1


def test_the_last_word_is_the_users():
    with pytest.raises(BadRequest) as refused:
        asked(("user", "Hi"), ("assistant", "Hello"))
    assert refused.value.param == "messages"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"temperature": 0}, {"temperature": 0.01}),
        ({"temperature": 2}, {"temperature": 0.99}),
        ({"temperature": 0.7, "top_p": 0.3}, {"temperature": 0.7, "top_p": 0.3}),
        ({"top_p": 1}, {"top_p": 0.7}),
        ({"top_p": 0}, {"top_p": 0.01}),
    ],
)
def test_sampling_stays_inside_the_ranges(given: dict[str, Any], sent: dict[str, Any]):
    assert asked(("user", "Hi"), **given) == {
        "prompt": [{"role": "user", "content": "Hi"}],
        "incremental": True,
        **sent,
    }


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("tools", [{"type": "function", "function": {"name": "f"}}], "tools[0]"),
        ("response_format", {"type": "json_object"}, "response_format"),
        ("n", 2, "n"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(field: str, value: Any, param: str):
    with pytest.raises(UnsupportedParameter) as refused:
        asked(("user", "Hi"), **{field: value})
    assert refused.value.param == param

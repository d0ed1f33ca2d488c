"""The same questions asked of h2oGPTe's stand-in by its own clients, of both generations, and by Parley.

It gives the same words, whole and in pieces, and the same bill; and what arrived there is the same, but for the names
that clients give to what they send. Tools are the other door's (`test_openai.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import openai
import pytest

from tests.stack.running import Stack
from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

TALK = Path(__file__).parents[2] / "upstreams" / "clients" / "h2ogpte_talk.py"


class Question(NamedTuple):
    """As the vendor's client asks it, and as Parley's caller does."""

    theirs: dict[str, Any]
    ours: dict[str, Any]


def both(text: str, *, theirs: dict[str, Any] | None = None, **ours: Any) -> Question:
    """A question with rules."""
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    asked = {"llm": "gpt-4o", "system_prompt": "Be brief.", "rag_config": {"rag_type": "llm_only"}}
    return Question({"message": text, **asked, **(theirs or {})}, {"messages": turns, **ours})


QUESTIONS = {
    "words": both("!say:Grüße, 世界 🙂\n\nnext line"),
    "long": both("!say:" + "word " * 60),
    "limit": both("!say:" + "word " * 30, theirs={"llm_args": {"max_new_tokens": 5}}, max_tokens=5),
    "warmth": both("!report", theirs={"llm_args": {"temperature": 0.5}}, temperature=0.5),
}
GENERATIONS = {"h2ogpte16": "1.6.10", "h2ogpte17": "1.7.5"}

Heard = dict[str, tuple[list[Any], list[Any]]]


def heard_by(client: openai.OpenAI, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Whole, and streamed."""
    answer = client.chat.completions.create(**asked)
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return [
        {"text": text, "usage": [usage.prompt_tokens, usage.completion_tokens]}
        for text, usage in ((answer.choices[0].message.content, answer.usage), (streamed, chunks[-1].usage))
    ]


@pytest.fixture(scope="module", params=GENERATIONS)
def heard(request: pytest.FixtureRequest) -> Iterator[Heard]:
    """By question: what the vendor's client heard, and what Parley's caller did; each whole and streamed."""
    with Emulator("h2ogpte") as upstream:
        upstream.set(version=GENERATIONS[request.param])
        asked = [question.theirs for question in QUESTIONS.values()]
        theirs: Any = saw(request.param, TALK, upstream.url, json.dumps(asked))
        settings = {"H2OGPTE_BASE_URL": upstream.url, "H2OGPTE_API_KEY": "sk-h2o-test", "IS_GUEST": "false"}
        with Stack(settings, gateways=1) as stack:
            client = stack.client()
            ours = [heard_by(client, {"model": "h2ogpte/gpt-4o", **question.ours}) for question in QUESTIONS.values()]
        yield dict(zip(QUESTIONS, zip(theirs, ours, strict=True), strict=True))


@pytest.mark.timeout(600)  # the first run makes the environment
@pytest.mark.parametrize("question", QUESTIONS)
def test_parley_hears_what_the_vendors_client_hears(heard: Heard, question: str) -> None:
    theirs, ours = heard[question]
    if question == "warmth":  # what arrived is what was said
        reports = [json.loads(one["text"]) for one in (*theirs, *ours)]
        for told in ("system_prompt", "llm", "history", "rag_config"):
            assert all(report[told] == reports[0][told] for report in reports), told
        assert {report["llm_args"]["temperature"] for report in reports} == {0.5}
    else:
        assert ours == theirs
    assert all(one["usage"][1] > 0 for one in ours)


def test_what_was_asked_for_was_heard(heard: Heard) -> None:
    assert [one["text"] for one in heard["words"][1]] == ["Grüße, 世界 🙂\n\nnext line"] * 2
    assert heard["limit"][1][0]["usage"][1] == 5

"""Every recorded answer of Azure OpenAI comes to the right events, however its bytes are cut."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest

from parley import errors
from parley.chat.events import Extra, Stop, Text, ToolCall, Usage
from parley.dialects.azure import VERDICTS
from parley.dialects.openai import Decoder, failure_in
from parley.providers.body import Body
from tests.shared.providers.recorded import Told, cuts, read, told

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts" / "azure"

WORDS: Told = [Text("Hel"), Text("lo")]
EXPECTED: dict[str, Told] = {
    "hello": [*WORDS, Stop("stop"), Usage(9, 2)],
    "prompt-annotations": [*WORDS, Stop("stop")],
    "asynchronous-filter": [*WORDS, Stop("stop"), Usage(9, 2)],
    "asynchronous-filter-strikes-late": [*WORDS, Stop("content_filter")],
    "filtered-midway": [*WORDS, Stop("content_filter"), Usage(9, 2)],
    "filtered-from-the-start": [Stop("content_filter")],
    "filter-is-down": [*WORDS, Stop("stop")],
    "tool-call": [ToolCall(0, "call_a", "f"), ToolCall(0, arguments="{}"), Stop("tool_calls")],
    "on-your-data": [
        Extra(
            {
                "context": {
                    "citations": [{"content": "x", "title": "t", "url": "https://example.com"}],
                    "intent": "[]",
                }
            }
        ),
        Text("Hello"),
        Stop("stop"),
    ],
    "throttled-midway": [Text("Hel"), errors.Throttled],
    "no-capacity-midway": [Text("Hel"), errors.Throttled],
}


def events(chunks: Iterable[bytes]) -> Told:
    return told(read(Body({}, Decoder(partial(failure_in, verdicts=VERDICTS))), chunks))


def test_every_transcript_has_its_expectation():
    assert {path.stem for path in TRANSCRIPTS.glob("*.sse")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_answer_comes_to_its_events_however_it_is_cut(name: str):
    data, expected = (TRANSCRIPTS / f"{name}.sse").read_bytes(), EXPECTED[name]
    for chunks in cuts(data):
        assert events(chunks) == expected

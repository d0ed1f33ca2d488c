"""The bench's upstream is a valid one: the official client is the judge."""

import time

import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from subjects import Subject, get

QUESTION = [{"role": "user", "content": 'say "stream": true, "model": "other"'}]


@pytest.fixture
def client(upstream: Subject) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{upstream.port}/v1", api_key="sk-any", max_retries=0)


def strictly(value):
    """The client builds its objects unchecked; this one checks."""
    return type(value).model_validate(value.model_dump(exclude_unset=True))


def test_it_lists_the_models_it_was_told(client):
    assert [model.id for model in client.models.list()] == ["bench-c16", "bench-c5-g20"]


def test_a_unary_answer_is_a_completion_with_usage(client):
    answer = strictly(client.chat.completions.create(model="bench-c16", messages=QUESTION))
    assert answer.model == "bench-c16"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_has_the_chunks_of_its_models_name_and_usage_when_asked(client):
    asked = {"model": "bench-c5-g20", "messages": QUESTION, "stream": True}
    chunks: list[ChatCompletionChunk] = [
        strictly(chunk) for chunk in client.chat.completions.create(**asked, stream_options={"include_usage": True})
    ]
    assert sum(1 for chunk in chunks if chunk.choices and chunk.choices[0].delta.content) == 5
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 5)
    assert all(chunk.usage is None for chunk in client.chat.completions.create(**asked))


def test_a_stream_keeps_the_pace_of_its_models_name(client):
    times = [time.monotonic() for _ in client.chat.completions.create(
        model="bench-c5-g40-d30", messages=QUESTION, stream=True)]  # fmt: skip
    assert 3 * 0.04 < times[-1] - times[0] < 6 * 0.04  # four gaps; the client may be late at either end


def test_an_unpaced_stream_of_many_chunks_is_whole(client):
    text = "".join(
        chunk.choices[0].delta.content or ""
        for chunk in client.chat.completions.create(model="bench-c5000-g0", messages=QUESTION, stream=True)
    )
    assert len(text.split()) == 5000


def test_a_reader_that_goes_away_ends_its_stream(client, upstream):
    with client.chat.completions.create(model="bench-c500-g20", messages=QUESTION, stream=True) as stream:
        next(stream)
        assert get(f"http://127.0.0.1:{upstream.port}/stats")["open_answers"] == 1
    client.close()
    until = time.monotonic() + 2
    while (stats := get(f"http://127.0.0.1:{upstream.port}/stats"))["open_answers"] and time.monotonic() < until:
        time.sleep(0.02)
    assert (stats["open_answers"], stats["cancelled"]) == (0, 1)


def test_what_it_does_not_have_is_an_error_in_the_envelope(client):
    with pytest.raises(openai.NotFoundError) as missing:
        client.embeddings.create(model="bench", input="words")
    assert missing.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="x" * 200, messages=QUESTION)

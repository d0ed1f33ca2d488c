"""Echo says the last user message back, at the pace it is asked for."""

from __future__ import annotations

import pytest

from parley import clock
from parley.catalog import Upstream
from parley.chat.events import Stop, Text, Usage
from parley.chat.prompt import Assistant, System, TextPart, User
from parley.errors import BadRequest
from parley.leases import Lease
from parley.providers.echo import Echo
from parley.transports import Net
from tests.shared.providers.lending import answered, asking, credential, failed, lease, said

UPSTREAM = Upstream(name="echo", provider="echo")
NET = Net(None, None, None)  # type: ignore[arg-type]  # it needs none


@pytest.fixture
def lent() -> Lease:
    return lease(UPSTREAM, credential({}))


@pytest.fixture
def echo() -> Echo:
    return Echo(UPSTREAM, NET)


@pytest.mark.parametrize(
    "text",
    [
        "Hello, world!",
        "a",
        " ",
        "\n",
        "  two  blanks  \n\n",
        "汉字。混合 mixed\ttabs",
        "🙂👨‍👩‍👧 é",
        "don't",
        "\u2028x\u0085",
    ],
)
async def test_the_words_come_back_exactly_in_more_than_one_piece(echo: Echo, lent: Lease, text: str):
    stream = [event async for event in echo.stream(asking(System("no"), "first", Assistant("x"), text), lent)]
    *words, stop, usage = stream
    assert "".join(event.text for event in words if isinstance(event, Text)) == text
    assert stop == Stop("stop")
    assert isinstance(usage, Usage)
    assert usage.measured
    assert usage.completion == len(words)
    assert len(words) > 1 or len(text.split()) <= 1


async def test_parts_are_said_as_one_text(echo: Echo, lent: Lease):
    assert said(await answered(echo, asking(User([TextPart("a "), "b"])), lent)) == "a b"


async def test_nothing_to_say_back_is_a_bad_request(echo: Echo, lent: Lease):
    for prompt in (asking(System("only")), asking("")):
        events, failure = await failed(echo, prompt, lent)
        assert events == []
        assert isinstance(failure, BadRequest)
        assert failure.param == "messages"


async def test_it_is_as_slow_as_it_is_told(echo: Echo, lent: Lease, monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []

    async def noted(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("parley.providers.echo.sleep", noted)
    assert clock.sleep is not noted
    prompt = asking("one two three", metadata={"echo_first_ms": "90000", "echo_delay_ms": "50", "other": "x"})
    assert said(await answered(echo, prompt, lent)) == "one two three"
    assert pauses == [90.0, 0.05, 0.05]


@pytest.mark.parametrize("pause", ["soon", "-1", "1.5", "600001", "", "٣٣٣٣٣٣٣٣", "²"])
async def test_a_pause_that_is_none_is_refused_by_name(echo: Echo, lent: Lease, pause: str):
    _, failure = await failed(echo, asking("x", metadata={"echo_delay_ms": pause}), lent)
    assert isinstance(failure, BadRequest)
    assert failure.param == "metadata.echo_delay_ms"

"""`stop` and `max_tokens` as the gateway keeps them: whatever the pieces, the same words come out."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.trim import Trim
from parley.chat.events import Event, Stop, Text, Thought, Usage


def words(text: str) -> int:
    return len(text.split())


def run(trim: Trim, pieces: list[str], end: Event | None = None) -> tuple[str, str | None]:
    out: list[Event] = []
    for piece in pieces:
        out += trim.feed(Text(piece))
        if trim.done:
            break
    if not trim.done:
        out += trim.feed(end or Stop("stop"))
    stops = [event.reason for event in out if isinstance(event, Stop)]
    assert len(stops) <= 1
    return "".join(event.text for event in out if isinstance(event, Text)), stops[0] if stops else None


def test_a_stop_sequence_ends_the_answer_before_itself() -> None:
    assert run(Trim(["END"], None, words), ["one EN", "D two"]) == ("one ", "stop")


def test_what_only_looked_like_a_stop_sequence_is_said_after_all() -> None:
    assert run(Trim(["END"], None, words), ["one EN", "ough"]) == ("one ENough", "stop")
    assert run(Trim(["END"], None, words), ["one EN"], Stop("length")) == ("one EN", "length")


def test_the_stop_sequence_that_is_complete_first_wins() -> None:
    assert run(Trim(["cd", "bc"], None, words), ["abcd"]) == ("a", "stop")
    assert run(Trim(["b", "aba"], None, words), ["aba"]) == ("a", "stop")


def test_a_limit_ends_the_answer_with_length_and_not_one_token_more() -> None:
    assert run(Trim([], 3, words), ["one ", "two three four ", "five"]) == ("one two three ", "length")


def test_an_answer_that_just_fits_ends_as_the_upstream_said() -> None:
    assert run(Trim([], 3, words), ["one two three"]) == ("one two three", "stop")


def test_usage_and_thoughts_pass() -> None:
    trim = Trim(["x"], 5, words)
    assert trim.feed(Thought("hm")) == [Thought("hm")]
    assert trim.feed(Usage(1, 2)) == [Usage(1, 2)]


@given(st.text("abc ", max_size=40), st.lists(st.text("abc", min_size=1, max_size=4), max_size=4), st.data())
def test_any_cutting_of_the_text_gives_the_same_answer(text: str, stops: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    expected = text[: min(found)[1]] if found else text
    assert run(Trim(stops, None, words), pieces) == (expected, "stop")

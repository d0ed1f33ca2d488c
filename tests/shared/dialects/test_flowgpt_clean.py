"""The analysis before an answer is taken off, and nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.dialects.flowgpt.clean import LABEL, LIMIT, Cleaner

VECTORS = [
    (["**User Analysis:** x **Resp", "onse:** He", "llo ", "world"], "Hello world"),
    (["short"], "short"),
    (["a" * 151, "b", "c"], "a" * 151 + "bc"),
    (["**A** Response:**", "  \n ", "Hi"], "Hi"),
    (["**User Analysis:** wants a greeting. **Response:** Hello there"], "Hello there"),
    ([" \n**A** Response:** Hi"], "Hi"),
    (["**A** Response:** one", " Response:** two"], "one Response:** two"),
    (["**A** Response:**", "", " "], ""),
    (["", "Hi", ""], "Hi"),
    (["*"], "*"),
    (["**bold** and nothing more"], "**bold** and nothing more"),
    (["*italics* Response:** x"], "*italics* Response:** x"),
    (["  leading blanks stay"], "  leading blanks stay"),
]


def cleaned(chunks: list[str], cleaner: Cleaner) -> str:
    return "".join([*map(cleaner.feed, chunks), cleaner.finish()])


@pytest.mark.parametrize(("chunks", "expected"), VECTORS)
def test_the_pages_vectors_and_their_neighbours(chunks: list[str], expected: str) -> None:
    assert cleaned(chunks, Cleaner()) == expected


@pytest.mark.parametrize(("chunks", "expected"), VECTORS)
def test_it_does_not_matter_how_an_answer_is_cut(chunks: list[str], expected: str) -> None:
    text = "".join(chunks)
    for at in range(len(text) + 1):
        assert cleaned([text[:at], text[at:]], Cleaner()) == expected
    assert cleaned(list(text), Cleaner()) == expected


@given(st.text("*Response:\n ab", max_size=60), st.integers(0, 40), st.booleans(), st.lists(st.integers(1, 9)))
def test_any_answer_in_any_pieces_comes_to_the_same(text: str, limit: int, strict: bool, sizes: list[int]) -> None:
    chunks, at = [], 0
    for size in sizes:
        chunks.append(text[at : at + size])
        at += size
    whole = cleaned([text], Cleaner(limit, strict=strict))
    assert cleaned([*chunks, text[at:]], Cleaner(limit, strict=strict)) == whole
    assert text.endswith(whole), "words are taken off the beginning only"


def test_without_strictness_words_are_held_until_the_limit_and_then_go_as_they_come() -> None:
    cleaner = Cleaner(strict=False)
    assert cleaner.feed("a" * 149) == ""
    assert cleaner.feed("aa") == "a" * 151
    assert [cleaner.feed("b"), cleaner.feed("c"), cleaner.finish()] == ["b", "c", ""]


def test_a_plain_answer_is_not_held_at_all() -> None:
    cleaner = Cleaner()
    assert [cleaner.feed("H"), cleaner.feed("i **Response:** x")] == ["H", "i **Response:** x"]


def test_after_the_label_words_go_as_they_come() -> None:
    cleaner = Cleaner()
    assert [cleaner.feed(words) for words in ("**A** Response:** He", "llo ", "world")] == ["He", "llo ", "world"]
    assert cleaner.finish() == ""


@pytest.mark.parametrize("strict", [True, False])
def test_a_label_counts_up_to_the_limit_and_not_behind_it(strict: bool) -> None:
    head = "**" + "a" * (LIMIT - len(LABEL) - 2)
    assert cleaned([f"{head}{LABEL}Hi"], Cleaner(strict=strict)) == "Hi"
    assert cleaned([f"{head}a{LABEL}Hi"], Cleaner(strict=strict)) == f"{head}a{LABEL}Hi"


def test_a_limit_of_nothing_switches_it_off() -> None:
    cleaner = Cleaner(0)
    assert cleaner.feed("**A** Response:** x") == "**A** Response:** x"


def test_the_limit_counts_characters_and_not_bytes() -> None:
    assert cleaned(["**" + "析" * 100 + "Response:** 好"], Cleaner()) == "好"


def test_two_answers_share_nothing() -> None:
    one, other = Cleaner(), Cleaner()
    assert one.feed("**held") == ""
    assert other.feed("free") == "free"
    assert [one.finish(), other.finish()] == ["**held", ""]

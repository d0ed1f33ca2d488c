"""Tokens are counted with o200k_base, offline, and long texts hold nobody up."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from parley.chat.prompt import Assistant, Call, FunctionCall, ImagePart, Prompt, System, TextPart, User
from parley.tokens import count, prompt_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("hello world", 2),
        ("Hello, world!", 4),
        ("tiktoken is great!", 6),
        ("お誕生日おめでとう", 8),
        ("<|endoftext|>", 7),
        ("half a \ud800 letter", 4),
    ],
)
def test_counts_are_those_of_the_published_encoding(text: str, tokens: int):
    assert count(text) == tokens


@pytest.mark.parametrize("word", ["word ", "汉字，", "a", " x", "\n", "🙂 and "])
def test_a_long_text_counts_as_its_parts_do(word: str):
    """The other tokenizer that has these tables says the same of the whole."""
    from bpe_openai import _bindings

    text = word * 40_000
    whole = _bindings.tokenizer_for_encoding("o200k_base").count(text)
    assert abs(count(text) - whole) <= len(text) // 16_384


def test_counting_in_a_thread_lets_others_run():
    text = "The quick brown fox jumps over the lazy dog. " * 200_000
    count("warm")
    counting = threading.Thread(target=count, args=(text,))
    counting.start()
    longest, last = 0.0, time.perf_counter()
    while counting.is_alive():
        time.sleep(0.001)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    assert longest < 0.1


def test_a_prompt_counts_its_words_and_what_the_format_adds():
    hello = Prompt(messages=[User("hello world")])
    assert prompt_tokens(hello) == 3 + 3 + 2
    more = Prompt(
        messages=[
            System("hello world"),
            User([TextPart("hello world"), "hello world", ImagePart("https://a/b.png")]),
            Assistant(tool_calls=[Call("x", function=FunctionCall("hello world", "hello world"))]),
        ]
    )
    assert prompt_tokens(more) == 3 + 3 * 3 + 2 + 4 + 85 + 4
    more.tools = [{"type": "function", "function": {"name": "f"}}]
    assert prompt_tokens(more) > 3 + 3 * 3 + 2 + 4 + 85 + 4 + 5


def test_the_tables_are_not_loaded_before_something_is_counted():
    loaded = "print('tiktoken' in sys.modules)"
    program = f"import sys, parley.tokens; {loaded}; parley.tokens.count('a'); {loaded}"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).split() == ["False", "True"]


@pytest.mark.parametrize("run", [" ", "\n", "a", "好"])
def test_a_million_times_the_same_is_counted_soon(run: str):
    assert 0 < count(run * 1_000_000) <= 1_000_000

"""Tables as they are seen on a terminal, and as programs read them."""

from __future__ import annotations

import io

import pytest

from command.telling import Telling, Toned, cut, fitted, printable, span, width


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, columns: int, rows: list[tuple[object, ...]], **environment: str) -> str:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = Terminal()
    Telling(as_json=False, out=out).table(("NAME", "COUNT>", "NOTHING", "SAID"), rows, nothing="")  # type: ignore[arg-type]
    return out.getvalue()


ROWS: list[tuple[object, ...]] = [
    ("alice", 1234, None, Toned("fine", "good")),
    ("智谱", 5, "", "a sentence that does not fit into so narrow a terminal"),
]


def test_columns_are_aligned_and_empty_ones_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, 200, ROWS, NO_COLOR="1").splitlines() == [
        "NAME   COUNT  SAID",
        "alice  1,234  fine",
        "智谱       5  a sentence that does not fit into so narrow a terminal",
    ]


@pytest.mark.parametrize("columns", [24, 30, 47])
def test_no_line_is_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    lines = shown(monkeypatch, columns, ROWS, NO_COLOR="1").splitlines()
    assert all(width(line) <= columns for line in lines)
    assert lines[-1].endswith("…")


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\033[32mfine\033[0m" in shown(monkeypatch, 80, ROWS)
    assert "\033" not in shown(monkeypatch, 80, ROWS, NO_COLOR="1")
    assert "\033" not in shown(monkeypatch, 80, ROWS, TERM="dumb")
    out = io.StringIO()
    Telling(as_json=False, out=out).table(("NAME",), [(Toned("x" * 300, "bad"),)], nothing="")
    assert out.getvalue() == "NAME\n" + "x" * 300 + "\n"


def test_a_terminal_obeys_nobody_elses_words() -> None:
    assert printable("a\x1b[2Jb\nc\u202ed\x00") == "a\ufffd[2Jb c\ufffdd\ufffd"


def test_wide_letters_are_cut_as_wide_as_they_are() -> None:
    assert cut("智谱清言", 5) == "智谱…" and width("智谱…") == 5
    assert cut("abc", 3) == "abc" and cut("abcd", 3) == "ab…"


def test_the_widest_column_gives_way_first() -> None:
    assert fitted([5, 40, 12], 40) == [5, 19, 12]
    assert fitted([5, 9, 9], 10) == [5, 8, 8], "never so narrow that nothing is left"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (60, "1 min"), (90, "90 s"), (3600, "1 h"), (5400, "90 min"), (86_400, "1 d"), (200_000, "2 d")],
)
def test_durations_have_one_unit(seconds: float, said: str) -> None:
    assert span(seconds) == said

"""What a command says: tables for people, JSON for programs, remarks beside both.

Texts may come from callers (a model's name, a header): what a terminal would obey is not passed on to it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TextIO

from parley.clock import now

Tone = Literal["", "good", "bad", "odd", "faint"]
_TONES: Final[Mapping[Tone, str]] = {"": "", "good": "32", "bad": "31", "odd": "33", "faint": "2"}
_NARROWEST: Final = 8
_GAP: Final = "  "


class Toned(NamedTuple):
    """A text with a colour, where there are colours."""

    text: str
    tone: Tone


Cell = str | int | float | None | Toned


class Telling:
    """Says it on standard output, and remarks on standard error."""

    def __init__(self, *, as_json: bool, out: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out = sys.stdout if out is None else out
        terminal = self._out.isatty()
        self._columns = shutil.get_terminal_size().columns if terminal else None
        self._colours = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def say(self, text: str) -> None:
        """A line of the answer."""
        self._out.write(f"{text}\n")

    def write(self, text: str) -> None:
        """A piece of the answer, as it is."""
        self._out.write(text)

    def remark(self, sentence: str) -> None:
        """What is no part of the answer."""
        self._out.flush()
        print(sentence, file=sys.stderr, flush=True)

    def json(self, value: Any) -> None:
        """The answer for a program."""
        self.say(json.dumps(value, indent=2, ensure_ascii=False))

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[Cell]], *, nothing: str) -> None:
        """Aligned, cut to the terminal, without columns that are empty. Numbers stand below headings with `>`.

        `nothing`: what no rows mean.
        """
        cells = [[_toned(cell) for cell in row] for row in rows]
        if not cells:
            self.remark(nothing)
            return
        filled = [at for at in range(len(headings)) if any(row[at].text for row in cells)]
        cells = [[row[at] for at in filled] for row in cells]
        right = [headings[at].endswith(">") for at in filled]
        head = [Toned(headings[at].removesuffix(">"), "faint") for at in filled]
        widths = [max(width(row[at].text) for row in [head, *cells]) for at in range(len(head))]
        if self._columns is not None:
            widths = fitted(widths, self._columns)
        for row in [head, *cells]:
            padded = (self._cell(*each) for each in zip(row, widths, right, strict=True))
            self.say(_GAP.join(padded).rstrip())

    def facts(self, rows: Iterable[tuple[str, Cell]]) -> None:
        """What is known of one thing, a line each; what is empty is left out."""
        known = [(name, _toned(cell)) for name, cell in rows if cell not in (None, "")]
        wide = max((width(name) for name, _ in known), default=0)
        for name, cell in known:
            self.say(f"{self._painted(name.ljust(wide), 'faint')}{_GAP}{self._painted(cell.text, cell.tone)}")

    def _cell(self, cell: Toned, wide: int, right: bool) -> str:
        text = cut(cell.text, wide)
        blank = " " * (wide - width(text))
        painted = self._painted(text, cell.tone)
        return blank + painted if right else painted + blank

    def _painted(self, text: str, tone: Tone) -> str:
        return f"\033[{_TONES[tone]}m{text}\033[0m" if tone and text and self._colours else text


def _toned(cell: Cell) -> Toned:
    if isinstance(cell, Toned):
        return Toned(printable(cell.text), cell.tone)
    return Toned(printable("" if cell is None else f"{cell:,}" if isinstance(cell, int) else str(cell)), "")


def printable(text: str) -> str:
    """The text in one line, without anything that a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "\ufffd" for letter in text)


def width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, wide: int) -> str:
    """As much of a text as fits, with `…` for the rest."""
    if width(text) <= wide:
        return text
    kept = ""
    for letter in text:
        if width(kept + letter) > wide - 1:
            break
        kept += letter
    return kept + "…"


def fitted(widths: list[int], columns: int) -> list[int]:
    """Widths that fit side by side: the widest gives way first, down to a few letters."""
    widths = [*widths]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - columns
    while excess > 0 and max(widths) > _NARROWEST:
        widest = widths.index(max(widths))
        widths[widest] -= 1
        excess -= 1
    return widths


def moment(seconds: float | None) -> str:
    """A moment in local time; empty for none."""
    return "" if seconds is None else datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def instant(seconds: float) -> str:
    """A moment of today or yesterday, to the second, in local time."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(seconds: float | None) -> str:
    """How long it is since a moment."""
    return "" if seconds is None else f"{span(max(0.0, now() - seconds))} ago"


def span(seconds: float) -> str:
    """A duration in one unit: two of it, or exactly one."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

"""Takes the analysis off the beginning of an answer (`upstreams/flowgpt.md` section 3.1).

Some personalities think aloud before they reply:

    **User Analysis:** wants a greeting. **Response:** Hello there

What comes before the label is dropped. The label counts where it is complete within the first `limit` characters; up to
there the beginning is held back, but only while it may still turn out to be an analysis: a strict cleaner lets go of
everything that does not begin in bold. One object per answer; however an answer is cut, the same words come out.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

LABEL: Final = "Response:**"
LIMIT: Final = 150
_BOLD: Final = "**"


class _State(Enum):
    HOLD = auto()
    """What came may be an analysis."""
    TRIM = auto()
    """The label came; blanks before the reply are dropped."""
    PASS = auto()


class Cleaner:
    """Feed it the words as they come, then `finish`; each returns what may go out."""

    def __init__(self, limit: int = LIMIT, *, strict: bool = True) -> None:
        self._limit = limit
        self._strict = strict
        self._held = ""
        self._state = _State.HOLD if limit > 0 else _State.PASS

    def feed(self, words: str) -> str:
        """What of these words, and of those held back, goes out now."""
        if self._state is _State.HOLD:
            self._held += words
            words = self._judged()
        if self._state is _State.TRIM:
            words = words.lstrip()
            if words:
                self._state = _State.PASS
        return words

    def finish(self) -> str:
        """What was held back to the end."""
        held, self._held = self._held, ""
        return held

    def _judged(self) -> str:
        """The words that follow the label, or all of them when there will be no label, or none yet."""
        begun = self._held.lstrip()[: len(_BOLD)]
        if self._strict and not _BOLD.startswith(begun):
            return self._let_go()
        before, label, _ = self._held[: self._limit].partition(LABEL)
        if label:
            words, self._held = self._held[len(before) + len(label) :], ""
            self._state = _State.TRIM
            return words
        return self._let_go() if len(self._held) >= self._limit else ""

    def _let_go(self) -> str:
        self._state = _State.PASS
        return self.finish()

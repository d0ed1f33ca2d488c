"""What a test can ask a stand-in to answer, inside the words it sends.

    !say:<text>                 answer this text, to its last blank and newline
    !slow:<ms>:<text>           answer this text with so many milliseconds before every piece
    !think:<text>               think this before the answer
    !tool:<name>:<json args>    call this tool (several lines: several calls)
    !refuse:<text>              refuse with these words
    !stop:<reason>              finish for this reason
    !report                     answer with a JSON of what was received

A text that begins with a directive may hold several, each at the start of a line; any other text is answered with
itself.
"""

from __future__ import annotations

import re

import msgspec

_DIRECTIVE = re.compile(r"^!(say|slow|think|tool|refuse|stop|report)\b:?", re.MULTILINE)
_IN_A_LINE = re.compile(r"!(say|slow|think|tool|refuse|stop|report)\b.*")
_CUE = re.compile(r"\s*[^\s:!][^:!\n]{0,30}:\s*")  # a transcript's last line may be the label of who speaks next


class Wish(msgspec.Struct):
    """What the words ask for; nothing asked means: say the words back."""

    text: str | None = None
    thoughts: str = ""
    calls: list[tuple[str, str]] = []
    refusal: str = ""
    stop: str | None = None
    pace: float | None = None  # seconds before every piece
    report: bool = False
    asked: bool = False


def read(words: str) -> Wish:
    """The wish in these words, all of them."""
    if _DIRECTIVE.match(words) is None:
        return Wish(text=words)
    wish = Wish(asked=True)
    found = list(_DIRECTIVE.finditer(words))
    for this, following in zip(found, [*found[1:], None], strict=True):
        # The newline before the next directive only parts them; the last one keeps everything.
        rest = words[this.end() : following.start() - 1 if following else len(words)]
        _grant(wish, this[1], rest)
    if wish.text is None and not (wish.calls or wish.refusal or wish.report):
        wish.text = "ok"
    return wish


def read_transcript(prompt: str) -> Wish:
    """The wish in the last line that somebody said, for services which get a whole conversation as one text."""
    if _DIRECTIVE.match(prompt):
        return read(prompt)
    lines = [line for line in prompt.split("\n") if line.strip() and not _CUE.fullmatch(line)]
    found = _IN_A_LINE.search(lines[-1]) if lines else None
    return read(found[0]) if found else Wish(text=prompt)


def _grant(wish: Wish, name: str, rest: str) -> None:
    match name:
        case "say":
            wish.text = rest
        case "slow":
            pace, _, wish.text = rest.partition(":")
            wish.pace = float(pace) / 1000
        case "think":
            wish.thoughts = rest
        case "tool":
            tool, _, arguments = rest.partition(":")
            wish.calls = [*wish.calls, (tool, arguments or "{}")]
        case "refuse":
            wish.refusal = rest
        case "stop":
            wish.stop = rest.strip()
        case "report":
            wish.report = True

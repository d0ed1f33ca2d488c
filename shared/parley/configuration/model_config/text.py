"""JSON as people write it by hand: with `//` and `/* */` comments, and a comma after the last item."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from parley.settings import ConfigurationError

_STRING_OR_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_STRING_OR_COMMA: Final = re.compile(r'"(?:\\.|[^"\\])*"|,(?=\s*[\]}])', re.DOTALL)
_NOT_A_BREAK: Final = re.compile(r"[^\n]")


def read(text: str, where: str) -> Any:
    """The value that `text` holds. Raises ConfigurationError with the line and column of what cannot be read."""
    plain = _STRING_OR_COMMENT.sub(_blank, text)
    plain = _STRING_OR_COMMA.sub(_blank, plain)
    try:
        return json.loads(plain)
    except json.JSONDecodeError as problem:
        raise ConfigurationError(
            f"{where} is not valid JSON at line {problem.lineno}, column {problem.colno}: {problem.msg}."
        ) from None
    except RecursionError:
        raise ConfigurationError(f"{where} is nested too deeply.") from None


def _blank(found: re.Match[str]) -> str:
    """Strings stay; everything else becomes blanks, so that lines and columns stay what they are."""
    return found[0] if found[0].startswith('"') else _NOT_A_BREAK.sub(" ", found[0])

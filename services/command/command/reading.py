"""What people type: durations, moments, lists, and secrets, which are never words of a command."""

from __future__ import annotations

import getpass
import json
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from command.outcomes import Misused
from parley.clock import now
from parley.sealed import Secret

_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)?")
_UNITS: Final = {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str) -> float:
    """A duration: `90`, `90s`, `15m`, `12h`, `30d`."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no duration such as 90s, 15m, 12h or 30d")
    return float(found[1]) * _UNITS[found[2]]


def ahead(text: str) -> str:
    """A moment to come, as RFC 3339: `2027-01-01`, or `30d` from now; empty for `never`."""
    return "" if text == "never" else _moment(text, +1)


def past(text: str) -> str:
    """A moment that was, as RFC 3339: `2026-11-01T08:00`, or `24h` ago."""
    return _moment(text, -1)


def _moment(text: str, sign: int) -> str:
    if _SPAN.fullmatch(text):
        return datetime.fromtimestamp(now() + sign * seconds(text), UTC).isoformat(timespec="seconds")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no moment such as 2026-11-30T08:00, or 30d") from None
    return found.astimezone(UTC).isoformat(timespec="seconds")


def several(text: str) -> list[str]:
    """Words with commas between them; none for `all` or `any`."""
    return [] if text in ("all", "any", "none") else [word.strip() for word in text.split(",") if word.strip()]


def count(text: str) -> int:
    """How many: 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no number such as 20")
    return int(text)


def facts(file: Path) -> dict[str, Any]:
    """An entry that a file (`-`: standard input) holds as YAML or JSON. Raises Misused."""
    where = "standard input" if str(file) == "-" else str(file)
    try:
        found = yaml.safe_load(sys.stdin.read() if str(file) == "-" else file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise unreadable(where, problem) from problem
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise Misused(f"{where} is neither YAML nor JSON{line}.") from problem
    if not isinstance(found, dict):
        raise Misused(f"{where} must hold an object.")
    return found


def first_line(file: Path) -> Secret:
    """A secret that a file holds. Raises Misused."""
    try:
        line = file.read_text("utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise unreadable(str(file), problem) from problem
    if not line:
        raise Misused(f"{file} is empty.")
    return Secret(line)


def unreadable(where: str, problem: OSError | UnicodeDecodeError) -> Misused:
    """What it means that something cannot be read."""
    return Misused(f"{where} cannot be read: {getattr(problem, 'strerror', None) or 'it is no text'}.")


def secret_parts(file: Path | None, names: Sequence[str]) -> dict[str, str]:
    """The parts of a credential's secret: of a file, else asked for at the terminal, else from standard input.

    One text is its `value`; a JSON object has its parts by name; with `names` there is a line for each. Raises Misused.
    """
    if (file is None or str(file) == "-") and sys.stdin.isatty():
        return _filled({name: getpass.getpass(f"{name}: ") for name in names or ("value",)})
    try:
        return _parts(sys.stdin.read() if file is None or str(file) == "-" else file.read_text("utf-8"), names)
    except (OSError, UnicodeDecodeError) as problem:
        raise unreadable(str(file or "standard input"), problem) from problem


def passphrase(file: Path | None, *, twice: bool) -> str:
    """What an archive's secrets are sealed with, likewise. Raises Misused."""
    if file is not None:
        return first_line(file).reveal()
    if not sys.stdin.isatty():
        raise Misused("There is no terminal to ask for the passphrase at: name a file with --passphrase-file.")
    said = getpass.getpass("Passphrase: ")
    if twice and getpass.getpass("Once more: ") != said:
        raise Misused("These are two different passphrases.")
    return said


def _parts(text: str, names: Sequence[str]) -> dict[str, str]:
    text = text.strip()
    if names:
        lines = text.splitlines()
        if len(lines) != len(names):
            raise Misused(f"{len(names)} lines are needed, one for each part; there are {len(lines)}.")
        return _filled(dict(zip(names, (line.strip() for line in lines), strict=True)))
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except ValueError as problem:
            raise Misused("The credential begins like a JSON object, and is none.") from problem
        if not all(isinstance(value, str) for value in found.values()):
            raise Misused("The parts of a credential must be texts.")
        return _filled(found)
    if "\n" in text:
        raise Misused("The credential has more than one line; give its parts as a JSON object.")
    return _filled({"value": text})


def _filled(parts: dict[str, str]) -> dict[str, str]:
    for name, value in parts.items():
        if not value:
            raise Misused(f"The {name} is empty.")
    return parts

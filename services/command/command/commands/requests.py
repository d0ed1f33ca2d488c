"""`parley requests`: what became of requests, and of each attempt to answer them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from command.desk import Desk
from command.outcomes import Misused
from command.reading import count
from command.telling import Cell, Tone, Toned, instant

HELP: Final = "what became of requests, attempt by attempt"
MORE: Final = (
    "An answer, also one that is a failure, has its id in the header x-request-id. Records are kept for an hour, ten "
    "thousand at most, without a word of what was said."
)
_FILTERS: Final = ("caller", "model", "upstream", "outcome")
_TONES: Final[Mapping[str, Tone]] = {"done": "good", "failed": "bad", "refused": "odd", "hung_up": "odd"}


def arguments(parser: ArgumentParser) -> None:
    """What the command understands."""
    parser.add_argument("id", nargs="?", metavar="ID", help="the x-request-id of an answer: only this one, in full")
    parser.add_argument("--caller", metavar="NAME", help="only of this key")
    parser.add_argument("--model", help="only for this model, as it was asked for")
    parser.add_argument("--upstream", metavar="NAME", help="only those that this one was tried for")
    parser.add_argument("--outcome", choices=tuple(_TONES), help="only those that ended so")
    parser.add_argument("--last", type=count, default=20, metavar="N", help="the newest so many (20)")


def requests(wishes: Namespace, desk: Desk) -> None:
    """What became of them."""
    asked = {name: getattr(wishes, name) for name in _FILTERS}
    if wishes.id is not None:
        if any(value is not None for value in asked.values()):
            raise Misused("An id says which request; the other words choose among all.")
        found = list(desk.front.every("requests", wishes.id))
    else:
        found = list(islice(desk.front.every("requests", **asked, limit=min(wishes.last, 1000)), wishes.last))
    if desk.telling.as_json:
        desk.telling.json(found)
    elif wishes.id is not None:
        for one in found:
            _in_full(desk, one)
    else:
        desk.telling.table(
            ("ENDED", "ID", "KEY", "MODEL", "OUTCOME", "STATUS>", "ATTEMPTS>", "TOKENS>", "TOOK>", "WHY"),
            [_row(one) for one in found],
            nothing="There is no such request among those of the last hour.",
        )


def _row(one: Mapping[str, Any]) -> tuple[Cell, ...]:
    record = one["record"]
    outcome = record.get("outcome", "")
    return (
        instant(one["at"]),
        one["request_id"],
        record.get("caller"),
        record.get("model"),
        Toned(outcome, _TONES.get(outcome, "")),
        record.get("status"),
        len(one["attempts"]),
        _tokens(record.get("usage")),
        _took(record.get("ms")),
        record.get("failure"),
    )


def _in_full(desk: Desk, one: Mapping[str, Any]) -> None:
    record = dict(one["record"])
    usage = record.pop("usage", None) or {}
    desk.telling.facts(
        [
            ("id", one["request_id"]),
            ("ended", instant(one["at"])),
            *((name.replace("_", " "), _said(value)) for name, value in record.items()),
            *((f"tokens, {name}" if name != "source" else "tokens are", value) for name, value in usage.items()),
        ]
    )
    desk.telling.say("")
    desk.telling.table(
        (
            "",
            "UPSTREAM",
            "MODEL",
            "CREDENTIAL",
            "TOOK>",
            "FIRST TOKEN>",
            "FAILURE",
            "STATUS>",
            "RETRY AFTER>",
            "BLAMED",
            "THEN",
        ),
        [
            (
                nth,
                attempt.get("upstream"),
                attempt.get("model"),
                attempt.get("credential"),
                _took(attempt.get("ms")),
                _took(attempt.get("first_event_ms")),
                Toned("lost the race", "odd") if attempt.get("lost") else Toned(attempt.get("failure") or "", "bad"),
                attempt.get("status"),
                _after(attempt.get("retry_after")),
                attempt.get("blames"),
                attempt.get("next"),
            )
            for nth, attempt in enumerate(one["attempts"], 1)
        ],
        nothing="No upstream was asked.",
    )


def _tokens(usage: Mapping[str, Any] | None) -> Cell:
    return None if not usage else usage.get("prompt", 0) + usage.get("completion", 0)


def _took(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds / 1000:.2f} s"


def _after(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:g} s"


def _said(value: Any) -> Cell:
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else str(value).lower()

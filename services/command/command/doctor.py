"""`parley doctor`: examines the front of a running stack and says what is wrong with it (docs/doctor.md)."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from command.surroundings import KEY_NAMES, front_door, surroundings
from parley.doctor import NAMES, SILENCE, BadAddress, Check, Report, examine
from parley.sealed import Secret

_INDENT = 27


def main(argv: Sequence[str]) -> int:
    """`parley doctor` with these words; the exit code."""
    parser = argparse.ArgumentParser(prog="parley doctor", description="Examine the front of a running Parley.")
    arguments(parser)
    return run(parser.parse_args(argv))


def arguments(parser: argparse.ArgumentParser) -> None:
    """What the command understands."""
    parser.add_argument(
        "--url", help="where nginx is (PARLEY_URL, else NGINX_BIND and NGINX_PORT, else http://127.0.0.1:8088)"
    )
    parser.add_argument(
        "--key-env",
        metavar="NAME",
        help="the variable, of the environment or .env, that holds a key (API_MASTER_KEY or API_KEY)",
    )
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--only", action="append", default=[], choices=NAMES, metavar="CHECK", help=", ".join(NAMES))
    parser.add_argument(
        "--silence",
        type=_seconds,
        default=SILENCE,
        metavar="SECONDS",
        help=f"how long an answer may be silent at least ({SILENCE:g}); the examination takes as long",
    )
    parser.add_argument(
        "--drain",
        type=_seconds,
        metavar="SECONDS",
        help="instead: keep streams and requests going, while you reload nginx or stop a gateway",
    )


def run(wishes: argparse.Namespace) -> int:
    """Examine and print. The exit code: 0, 1 with a fault, 2 when the question makes no sense."""
    settings = surroundings(Path.cwd())
    name = wishes.key_env or next((name for name in KEY_NAMES if settings.get(name)), None)
    if wishes.key_env and not settings.get(wishes.key_env):
        print(f"parley doctor: {wishes.key_env} has no value here.", file=sys.stderr)
        return 2
    url = wishes.url or front_door(settings)
    if wishes.drain:
        print(
            f"Streams and requests go through {url} for {wishes.drain:g} s. Now reload nginx, or stop a gateway.",
            file=sys.stderr,
        )
    try:
        report = asyncio.run(
            examine(
                url,
                Secret(settings[name]) if name else None,
                only=wishes.only,
                silence=wishes.silence,
                drain_seconds=wishes.drain,
            )
        )
    except BadAddress as problem:
        print(f"parley doctor: {problem}", file=sys.stderr)
        return 2
    print(json.dumps(report.as_json(), indent=2) if wishes.json else table(report, shutil.get_terminal_size().columns))
    return 1 if report.verdict == "fault" else 0


def table(report: Report, columns: int) -> str:
    """The report for people: a line per check, more for a fault."""
    gateways = f"{len(report.gateways)} gateway{'s' * (len(report.gateways) != 1)}"
    lines = [f"{report.url}: {gateways}, {report.requests} requests in {report.seconds:.1f} s", ""]
    for check in report.checks:
        lines += _row(check, max(columns, 60))
    counts = [(verdict, sum(check.verdict == verdict for check in report.checks)) for verdict in ("fault", "unknown")]
    summary = ", ".join(f"{count} {verdict}" for verdict, count in counts if count)
    return "\n".join([*lines, "", f"{summary or 'All is well'}."])


def _row(check: Check, columns: int) -> list[str]:
    word = "FAULT" if check.verdict == "fault" else check.verdict
    said = [check.sentence]
    if check.directive:
        said.append(f"directive: {check.directive}")
    if check.remedy:
        said.append(f"remedy:    {check.remedy}")
    indent = " " * _INDENT
    told = [textwrap.fill(text, columns, initial_indent=indent, subsequent_indent=indent) for text in said]
    return [f"  {word:<7}  {check.name:<14}  {told[0].lstrip()}", *told[1:]]


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds <= 600:
        raise argparse.ArgumentTypeError("from 0.1 to 600 seconds")
    return seconds

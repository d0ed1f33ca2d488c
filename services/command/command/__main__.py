"""The `parley` command: starts the parts of Parley, one by one or all together.

parley up          the whole stack on this machine, in the foreground (`make run`)
parley gateway     one gateway
parley keeper      one keeper; `--check` asks whether it is well
parley console     one console: the admin API
parley doctor      examines the front of a running stack, and names what is wrong with nginx.conf
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from command.plan import Wishes
from command.up import up


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script; the result is the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (["gateway"], ["keeper"], ["console"]):
        # The part replaces this process, so that a signal reaches it without a messenger.
        os.execv(sys.executable, [sys.executable, "-m", *words])  # noqa: S606  # our own interpreter, no shell
    if words[:1] == ["doctor"]:
        from command import doctor  # noqa: PLC0415  # it brings an HTTP client, for which no part should wait

        return doctor.main(words[1:])
    parser = _parser()
    wishes = parser.parse_args(words)
    if wishes.part != "up":
        parser.print_help()
        return 0
    return up(
        Wishes(
            gateways=wishes.gateways,
            keepers=wishes.keepers,
            consoles=wishes.consoles,
            port=wishes.port,
            state=wishes.state_dir,
            restart=not (wishes.json or wishes.no_restart),
            json=wishes.json,
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="parley", description="Many chat services behind one strict OpenAI API.")
    parts = parser.add_subparsers(dest="part", title="parts", metavar="")
    stack = parts.add_parser("up", help="the whole stack on this machine, in the foreground")
    stack.add_argument("--gateways", type=_some, default=2, metavar="N", help="gateway processes (2)")
    stack.add_argument("--keepers", type=_some_or_none, default=1, metavar="N", help="keepers (1)")
    stack.add_argument("--consoles", type=_some_or_none, default=1, metavar="N", help="consoles (1)")
    stack.add_argument("--port", type=int, metavar="PORT", help="where nginx listens (NGINX_PORT, else 8088; 0: any)")
    stack.add_argument("--state-dir", type=Path, metavar="DIR", help="what is kept (PARLEY_STATE_DIR, else .parley)")
    stack.add_argument("--no-restart", action="store_true", help="a part that dies stays dead")
    stack.add_argument(
        "--json",
        action="store_true",
        help="for programs: one JSON line when all is ready, logs into DIR/logs; implies --no-restart; ends when "
        "nobody reads its output any more",
    )
    parts.add_parser("gateway", help="one gateway (GATEWAY_BIND, else 127.0.0.1:8000)")
    parts.add_parser("keeper", help="one keeper (/metrics at KEEPER_BIND, else 127.0.0.1:8001); --check: is it well?")
    parts.add_parser("console", help="one console, the admin API (CONSOLE_BIND, else 127.0.0.1:8002)")
    parts.add_parser("doctor", help="examines the front of a running stack; --help says how")
    return parser


def _some(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one is needed")
    return number


def _some_or_none(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("a number of processes is not negative")
    return number


if __name__ == "__main__":
    sys.exit(main())

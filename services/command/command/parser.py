"""All the words that `parley` understands."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Final

PARTS: Final = ("gateway", "keeper", "console")
"""What takes the place of this process."""
_END: Final = """\
exit codes: 0 done, or nothing wrong; 1 refused, or a fault was found; 2 not used as it should be, or it cannot start;
3 nobody could be asked. Every command has a --help; docs/command.md has all of them.
"""


def parser(*, asking: bool = True) -> ArgumentParser:
    """The parser; `asking`: with the commands that ask a running Parley, for which an HTTP client is loaded."""
    root = ArgumentParser(
        prog="parley",
        description="Many chat services behind one strict OpenAI API.",
        epilog=_END,
        formatter_class=RawDescriptionHelpFormatter,
    )
    words = root.add_subparsers(title="commands", metavar="COMMAND")
    up_arguments(words.add_parser("up", help="the whole stack on this machine, in the foreground (`make run`)"))
    words.add_parser("gateway", help="one gateway (GATEWAY_BIND, else 127.0.0.1:8000; GATEWAY_SOCKET, too)")
    words.add_parser(
        "keeper", help="one keeper (/metrics at KEEPER_BIND, else 127.0.0.1:8001); --check: asks whether it is well"
    )
    words.add_parser("console", help="one console, the admin API (CONSOLE_BIND, else 127.0.0.1:8002)")
    if asking:
        from command import doctor  # noqa: PLC0415  # no part should wait for an HTTP client
        from command.commands import add_commands  # noqa: PLC0415  # as above

        says = "examine the front of a running stack, and name what is wrong with nginx.conf"
        doctor.arguments(words.add_parser("doctor", help=says, description=f"{says[:1].upper()}{says[1:]}."))
        add_commands(words)
    return root


def up_arguments(stack: ArgumentParser) -> None:
    """What `parley up` understands."""
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


def _some(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ArgumentTypeError("at least one is needed")
    return number


def _some_or_none(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ArgumentTypeError("a number of processes is not negative")
    return number

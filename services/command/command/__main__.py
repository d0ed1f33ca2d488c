"""The `parley` command: starts the parts of Parley, and asks a running one (docs/command.md).

parley up          the whole stack on this machine, in the foreground (`make run`)
parley gateway     one gateway
parley keeper      one keeper; `--check` asks whether it is well
parley console     one console: the admin API
parley doctor      examines the front of a running stack, and names what is wrong with nginx.conf
parley keys, credentials, upstreams, routes, limits, config, usage, models, status
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from command.parser import PARTS, parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script; the result is the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] and words[0] in PARTS:
        # The part replaces this process, so that a signal reaches it without a messenger.
        os.execv(sys.executable, [sys.executable, "-m", *words])  # noqa: S606  # our own interpreter, no shell
    if words[:1] == ["up"]:
        return _up(words)
    understood = parser()
    wishes = understood.parse_args(words)
    if not words:
        understood.print_help()
        return 0
    if words[0] == "doctor":
        from command import doctor  # noqa: PLC0415  # no part should wait for an HTTP client

        return doctor.run(wishes)
    from command.asked import asked  # noqa: PLC0415  # as above

    return asked(wishes)


def _up(words: Sequence[str]) -> int:
    from command.plan import Wishes  # noqa: PLC0415  # no question should wait for what starts a stack
    from command.up import up  # noqa: PLC0415  # as above

    wishes = parser(asking=False).parse_args(words)
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


if __name__ == "__main__":
    sys.exit(main())

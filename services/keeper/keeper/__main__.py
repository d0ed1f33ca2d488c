"""`python -m keeper` runs one keeper; `python -m keeper --check` tells a container whether its keeper lives."""

from __future__ import annotations

import asyncio
import signal
import sys

from parley.log import configure_logging
from parley.settings import ConfigurationError, read_settings

from keeper.app import run
from keeper.pulse import alive


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 2: the configuration cannot be used."""
    if "--check" in sys.argv[1:]:
        return 0 if alive() else 1
    try:
        settings = read_settings()
        configure_logging("keeper", settings.log_level)
        asyncio.run(_until_told(run(settings)))
    except ConfigurationError as problem:
        print(f"keeper: {problem}", file=sys.stderr)  # noqa: T201  # the one thing to see when it does not start
        return 2
    return 0


async def _until_told(work: asyncio._CoroutineLike[None]) -> None:
    task = asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise


if __name__ == "__main__":
    sys.exit(main())

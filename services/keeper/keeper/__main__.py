"""`python -m keeper` runs one keeper; `python -m keeper --check` tells a container whether its keeper lives."""

from __future__ import annotations

import gc

gc.disable()  # what imports make stays, and looking through it again and again is a sixth of the start

import asyncio
import signal
import sys
from collections.abc import Coroutine

from keeper.app import run
from keeper.pulse import alive
from parley.configuration.environment import read_settings
from parley.journal import replica_name, start_logging
from parley.settings import ConfigurationError
from parley.state.address import BadAddress
from parley.state.records import LostKey

gc.freeze()
gc.enable()


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 2: the configuration cannot be used."""
    if "--check" in sys.argv[1:]:
        return 0 if alive() else 1
    try:
        settings = read_settings()
        start_logging("keeper", replica_name(), settings.log_level)
        asyncio.run(_until_told(run(settings)))
    except (ConfigurationError, BadAddress, LostKey) as problem:
        print(f"keeper: {problem}", file=sys.stderr)  # noqa: T201  # the one thing to see when it does not start
        return 2
    return 0


async def _until_told(work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise


if __name__ == "__main__":
    sys.exit(main())

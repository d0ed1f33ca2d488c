"""`python -m gateway`: gunicorn in this process, which serves `gateway.app`."""

from __future__ import annotations

import gc

gc.disable()  # what imports make stays, and looking through it again and again is a sixth of the start

import resource
import sys
from pathlib import Path

from gunicorn.app.wsgiapp import run

from parley.configuration.environment import read_settings
from parley.settings import ConfigurationError

_ENOUGH_FILES = 65536


def main() -> None:
    """Run gunicorn, until it is told to end. Exit code 2: the configuration cannot be used, and a sentence says why."""
    try:
        read_settings()  # each worker reads them again; here a mistake is one line and no traceback
    except ConfigurationError as problem:
        sys.exit(_refused(problem))
    _allow_many_streams()
    # Not `gunicorn` as a program of its own: it would import all of this once more, which takes as long as the rest of
    # the start.
    sys.argv[1:1] = ["--config", f"file:{Path(__file__).with_name('gunicorn.conf.py')}"]
    run(prog="python -m gateway")


def _refused(problem: ConfigurationError) -> int:
    print(f"gateway: {problem}", file=sys.stderr)  # noqa: T201  # the one thing to see when it does not start
    return 2


def _allow_many_streams() -> None:
    """A stream takes two sockets or more, and the customary limit of 1024 open files is soon reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))


if __name__ == "__main__":
    main()

"""`python -m gateway`: becomes gunicorn, which serves `gateway.app`."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from parley.configuration.environment import read_settings
from parley.settings import ConfigurationError

_ENOUGH_FILES = 65536


def main() -> None:
    """Replace this process by gunicorn. Exit code 2: the configuration cannot be used, and a sentence says why."""
    try:
        read_settings()  # each worker reads them again; here a mistake is one line and no traceback
    except ConfigurationError as problem:
        sys.exit(_refused(problem))
    _allow_many_streams()
    configuration = Path(__file__).with_name("gunicorn.conf.py")
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "--config", f"file:{configuration}", *sys.argv[1:]])  # noqa: S606  # our own interpreter, no shell


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

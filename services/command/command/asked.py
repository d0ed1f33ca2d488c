"""Runs a command that asks Parley, and ends it as `command.outcomes` says."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from command import menu
from command.desk import Desk
from command.outcomes import OK, Outcome
from command.surroundings import surroundings

_INTERRUPTED = 130


def asked(wishes: Namespace) -> int:
    """Run what was asked for; the exit code."""
    desk = Desk(wishes, surroundings(Path.cwd()))
    try:
        return menu.run(wishes, desk)
    except Outcome as outcome:
        print(f"parley: {outcome}", file=sys.stderr)
        return outcome.exit_code
    except (KeyboardInterrupt, EOFError):
        print("parley: nothing more was done", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # nobody reads any more (`parley usage | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    finally:
        desk.close()

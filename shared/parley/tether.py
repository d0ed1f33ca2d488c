"""A child's tether to its parent: when the parent dies, however it dies, the kernel sends the child a signal.

Linux only (PR_SET_PDEATHSIG); elsewhere a child outlives a parent that was killed with SIGKILL. The kernel watches the
*thread* that forked, so start children from the main thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
# Loaded once, before any fork: a child between fork and exec should do as little as possible.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def tether(farewell: signal.Signals, parent: int | None = None) -> None:
    """Ask for `farewell` when the parent dies; called in the child, after fork. Die now if `parent` is gone already."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(farewell))
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def tethered(farewell: signal.Signals) -> Callable[[], None]:
    """The same as a `preexec_fn` of subprocess, bound to the calling process as the parent."""
    parent = os.getpid()
    return lambda: tether(farewell, parent)

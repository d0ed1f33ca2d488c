"""How tests are dealt out to processes, and which of them need vendors' own clients.

A file's tests run in one process, one after the other; those about one family of providers do so wherever they are.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cache

import httpx
import httpx._transports.default
import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler.loadfile import LoadFileScheduling

_FAMILY = re.compile(r"tests/providers/.*\[(?:.*-)?([a-z0-9_]+)/")
"""In ids such as `tests/providers/test_contract.py::test_hello[h2ogpte/h2ogpte-guest]`."""

_BETWEEN = re.compile(r"tests/stack/test_(keys_and_limits|racing|routes)\.py")
"""A minute must pass between the first test of these and the last, which is marked as `late`."""

_SHORT = ("echo", "openai")
"""The families under contract in `make test`; the others have `make test-providers`: each needs a stack of its own."""

# Hundreds of processes are started: where nobody may keep what is compiled, each compiles everything anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Each of the many clients that tests make would read the machine's certificates anew: 25 ms, to ask loopback.
httpx._transports.default.create_ssl_context = cache(httpx.create_ssl_context)

# The same examples for everybody, and a busy machine is no finding. `--hypothesis-profile=default` goes exploring.
settings.register_profile("parley", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("parley")


class FilesAndFamilies(LoadFileScheduling):
    """`--dist loadfile`, where a family is a file's equal: its tests share a stack, wherever they are written.

    So are files between whose tests a minute must pass.
    """

    def _split_scope(self, nodeid: str) -> str:
        if family := _FAMILY.match(nodeid):
            return f"family {family[1]}"
        return "a minute" if _BETWEEN.match(nodeid) else str(super()._split_scope(nodeid))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long has targets of its own: most families of providers, and vendors' clients (ten environments)."""
    for item in items:
        family = _FAMILY.match(item.nodeid)
        if family and family[1] not in _SHORT:
            item.add_marker(pytest.mark.provider)
        if isinstance(item, pytest.Function) and hasattr(item.module, "saw"):
            item.add_marker(pytest.mark.vendor)
    items.sort(key=lambda item: item.get_closest_marker("late") is not None)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """Ours, where files are dealt out."""
    return FilesAndFamilies(config, log) if config.getoption("dist") == "loadfile" else None

"""Who may run side by side, and which tests need vendors' own clients.

A file's tests run in one process, one after the other, unless they name a group.
"""

from __future__ import annotations

import pytest
from xdist.scheduler.loadgroup import LoadGroupScheduling


class FilesAndGroups(LoadGroupScheduling):
    """`--dist loadgroup`, where a test without a mark `xdist_group` belongs to its file's group."""

    def _split_scope(self, nodeid: str) -> str:
        group = super()._split_scope(nodeid)
        return nodeid.partition("::")[0] if group == nodeid else group


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that run a vendor's client in an environment of its own are for `make test-vendors`: it installs ten."""
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item.module, "saw"):
            item.add_marker(pytest.mark.vendor)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadGroupScheduling | None:
    """Ours, where groups are asked for."""
    return FilesAndGroups(config, log) if config.getoption("dist") == "loadgroup" else None

"""The commands that ask a running Parley: a file for each group."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from command.commands import (
    audit,
    config,
    credentials,
    keys,
    limits,
    models,
    prices,
    requests,
    routes,
    settings,
    status,
    upstreams,
    usage,
)
from command.menu import Menu, command, described

GROUPS: Final = {
    "keys": keys,
    "credentials": credentials,
    "upstreams": upstreams,
    "routes": routes,
    "limits": limits,
    "prices": prices,
    "settings": settings,
    "config": config,
}
"""In the order of the help."""


def add_commands(words: Any) -> None:
    """Add them to the words that `parley` understands (what `add_subparsers` returns)."""
    standing = _added(words, "status", status.HELP, status.MORE)
    command(standing, status.status)
    for name, group in GROUPS.items():
        group.arguments(Menu(_added(words, name, group.HELP, group.MORE)))
    for name, single, run in (
        ("usage", usage, usage.usage),
        ("requests", requests, requests.requests),
        ("audit", audit, audit.audit),
        ("models", models, models.models),
    ):
        parser = _added(words, name, single.HELP, single.MORE)
        single.arguments(parser)
        command(parser, run)


def _added(words: Any, name: str, says: str, more: str) -> ArgumentParser:
    parser: ArgumentParser = words.add_parser(name, help=says, description=described(says, more))
    return parser

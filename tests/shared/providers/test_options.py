"""Which options a provider has is declared, and is what it takes."""

from __future__ import annotations

import msgspec
import pytest

from parley.catalog import Upstream
from parley.providers import PROVIDERS
from parley.providers.options import OPTIONS
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets


def _made(name: str, options: dict[str, object]) -> object:
    net = Net(HTTP(), WebSockets(), Browser())
    return PROVIDERS[name](Upstream(name, name, "https://upstream.invalid", options=options), net)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_who_reads_options_declares_them(name: str) -> None:
    """Whoever reads them refuses what they do not know, and says so in msgspec's words."""
    try:
        _made(name, {"no_such_option": True})
    except msgspec.ValidationError:
        reads = True
    except Exception:  # a provider without options may say so in its own words
        reads = False
    else:
        reads = False
    assert reads is (name in OPTIONS)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_what_is_declared_is_taken(name: str) -> None:
    declared = msgspec.to_builtins(msgspec.convert({}, OPTIONS[name]))
    _made(name, {option: value for option, value in declared.items() if value is not None})


def test_nobody_is_declared_who_is_not_there() -> None:
    assert OPTIONS.keys() <= PROVIDERS.keys()

"""Which addresses are on the public internet."""

from __future__ import annotations

import pytest

from parley.transports.public import is_public


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_an_address_that_everybody_reaches_is_public(address: str):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.1.2.3"),
    ],
)
def test_an_address_of_a_network_of_our_own_is_not(address: str):
    assert not is_public(address)

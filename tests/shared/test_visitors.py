"""Whose address is believed."""

import pytest

from parley.settings import ConfigurationError
from parley.visitors import Visitors


@pytest.mark.parametrize(
    ("trusted", "told", "address"),
    [
        ([], "203.0.113.9", "203.0.113.9"),
        ([], "1.1.1.1, 203.0.113.9", "203.0.113.9"),  # the first entry is whatever the client wrote
        (["203.0.113.9"], "1.1.1.1, 203.0.113.9", "1.1.1.1"),
        (["203.0.113.0/24", "10.0.0.0/8"], "6.6.6.6, 2.2.2.2, 10.1.2.3, 203.0.113.9", "2.2.2.2"),
        (["203.0.113.9"], "<script>, 203.0.113.9", "203.0.113.9"),
        (["203.0.113.9"], "203.0.113.9", "203.0.113.9"),
        (["::1"], "2001:db8::7, ::1", "2001:db8::7"),
        ([], "", ""),
    ],
)
def test_an_address_is_believed_as_far_as_trust_goes(trusted: list[str], told: str, address: str) -> None:
    assert Visitors(trusted).address([(b"x-forwarded-for", told.encode())]) == address


def test_what_is_no_address_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="TRUSTED_PROXIES"):
        Visitors(["my-proxy"])

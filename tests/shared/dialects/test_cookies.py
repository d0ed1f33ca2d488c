"""Cookies of one credential, as an upstream changes them."""

from __future__ import annotations

import pytest

from parley.dialects.cookies import Jar, read


def test_a_header_is_written_back_as_it_was_read():
    header = "a=1; __Secure-next-auth.session-token=x.y==; NEXT_LOCALE=zh"
    assert Jar(header).header == header


def test_the_last_setting_of_a_name_counts():
    jar = Jar("s=old")
    jar.take(["s=one; Path=/; HttpOnly", "s=two; Path=/", "other=1"])
    assert jar.header == "s=two; other=1"


@pytest.mark.parametrize(
    "line",
    [
        "s=; Path=/",
        "s=x; Max-Age=0",
        "s=x; Max-Age=-1",
        "s=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "s=x; expires=Thu, 01-Jan-1970 00:00:01 GMT",
    ],
)
def test_a_cookie_can_be_taken_away(line: str):
    jar = Jar("s=old; t=1")
    jar.take([line])
    assert jar.header == "t=1"


@pytest.mark.parametrize(
    "line", ["s=x; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "s=x; Expires=soon", "s=x; Max-Age=later"]
)
def test_a_cookie_that_lives_on_stays(line: str):
    jar = Jar("s=old")
    jar.take([line])
    assert jar["s"] == "x"


def test_nonsense_is_passed_over():
    assert read("nonsense") is None
    assert read("=x") is None
    jar = Jar("a; b=1;; =2")
    jar.take(["nonsense", ""])
    assert jar.header == "b=1"


def test_only_the_family_rolls():
    jar = Jar("auth.token=old; locale=zh")
    jar.roll(["auth.token=new; Path=/", "tracker=1", "locale=en"], "auth")
    assert jar.header == "auth.token=new; locale=zh"


def test_a_cookie_of_the_family_is_not_given_up_for_a_mere_deletion():
    jar = Jar("auth.token=old")
    jar.roll(["auth.token=; Max-Age=0"], "auth")
    assert jar.header == "auth.token=old"


def test_a_value_that_comes_in_pieces_replaces_the_whole_and_the_other_way_round():
    jar = Jar("auth.token=old; auth.csrf=c")
    jar.roll(["auth.token.0=a", "auth.token.1=b", "auth.token=; Max-Age=0"], "auth")
    assert jar.header == "auth.csrf=c; auth.token.0=a; auth.token.1=b"
    jar.roll(["auth.token=whole"], "auth")
    assert jar.header == "auth.csrf=c; auth.token=whole"

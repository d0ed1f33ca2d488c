"""Pages for humans, told apart from answers."""

from __future__ import annotations

import pytest

from parley.dialects.challenge import is_challenge, is_page


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", b""),
        ("Text/HTML; charset=utf-8", b"x"),
        ("", b"\xef\xbb\xbf\n <!DOCTYPE html>"),
        ("text/plain", b"<html lang=en>"),
    ],
)
def test_a_page_is_known_by_its_type_or_its_beginning(content_type: str, body: bytes):
    assert is_page(content_type, body)


@pytest.mark.parametrize("body", [b"", b"{}", b"see <html>", b"<svg>"])
def test_what_is_no_page(body: bytes):
    assert not is_page("application/json", body)


@pytest.mark.parametrize(
    "body",
    [
        b"<title>Just a moment...</title>",
        b"<title>Attention Required! | Cloudflare</title>",
        b"window._cf_chl_opt; /cdn-cgi/challenge-platform/h/b",
        b'<div id="cf-challenge">',
    ],
)
def test_a_challenge_is_known_by_its_signs(body: bytes):
    assert is_challenge({}, body)


def test_a_challenge_is_known_by_its_header():
    assert is_challenge({"cf-mitigated": "challenge"}, b"")


def test_an_ordinary_page_is_no_challenge():
    assert not is_challenge({"server": "cloudflare"}, b"<html><title>502 Bad Gateway</title>")

"""What the page tells its own script, however it is written down."""

from __future__ import annotations

import html
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.providers.h2ogpte.bootstrap import SignedIn, read_conf

CONF = {"csrf_token": "csrf-made-up-1", "user_id": "0c4e", "username": "guest-7f3a", "is_guest": True}
WRITTEN = json.dumps(CONF)


@pytest.mark.parametrize(
    "page",
    [
        f"<!doctype html><html><body><div id=app data-conf='{WRITTEN}'></div></body></html>",
        f'<div data-conf="{html.escape(WRITTEN)}">',
        f"<DIV\n  class='x'\n  DATA-CONF = '{WRITTEN}'\n>",
        f"<app data-conf='{WRITTEN}' /><div data-conf='{{}}'></div>",
        f"<!-- <div data-conf='x'> --><div data-conf=''></div><div data-conf='{WRITTEN}'></div>",
    ],
)
def test_the_attribute_is_found(page: str):
    assert read_conf(page) == CONF


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), st.text(min_size=1, max_size=20))
def test_any_words_survive_either_quotes(more: dict[str, str], token: str):
    conf = {**more, "csrf_token": token}
    written = json.dumps(conf)
    single = html.escape(written, quote=False).replace("'", "&#39;")
    assert read_conf(f'<p data-conf="{html.escape(written)}">') == conf
    assert read_conf(f"<p data-conf='{single}'>") == conf


@pytest.mark.parametrize(
    "page",
    [
        f"<script>window.conf = {WRITTEN}</script>",
        f"<div data-conf='{WRITTEN[:-1]}, oops'></div>",
        f"<pre>{html.escape(WRITTEN)}</pre>",
        f"<div data-conf='{{}}'></div><script>x={WRITTEN}</script>",
    ],
)
def test_else_the_words_are_found_wherever_they_are(page: str):
    assert read_conf(page) == {name: CONF[name] for name in ("csrf_token", "user_id", "username")}


@pytest.mark.parametrize("page", ["", "<html>", "<div data-conf='[1]'>", "<div data-conf=>", '"csrf_token":"\\u12"'])
def test_a_page_without_them_tells_nothing(page: str):
    assert read_conf(page) == {}


def test_who_is_signed_in_cannot_be_printed():
    assert "canary" not in repr(SignedIn("canary-cookie", "canary-csrf", "canary-user", "canary-name"))

"""What `parley up` says about its door."""

from __future__ import annotations

import pytest

from command.greeting import greeting
from command.plan import Plan


@pytest.mark.parametrize(
    ("key", "tokens", "says", "bearer"),
    [
        (None, False, "No API_MASTER_KEY is set: everybody", None),
        (None, True, "Keys are the tokens of model-config.json", "Bearer $TOKEN"),
        ("$API_MASTER_KEY", True, "", "Bearer $API_MASTER_KEY"),
    ],
)
def test_it_says_who_may_enter(key: str | None, tokens: bool, says: str, bearer: str | None) -> None:
    text = greeting(Plan((), "http://127.0.0.1:8088", 8088, "redis://", key, tokens), [])
    assert says in text
    assert ("everybody" in text) is (key is None and not tokens)
    assert (f'-H "Authorization: {bearer}"' in text) if bearer else ("Authorization" not in text)


def test_it_names_the_admin_api_where_there_is_one() -> None:
    without, there = (
        greeting(Plan((), "http://x", 8088, "redis://", None, admin=admin), []) for admin in (False, True)
    )
    assert "/admin" not in without
    assert "http://x/admin/api/v1 " in there

"""An account of claude.ai: cookies, organisations, limits, and the mark of our conversations."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from parley.dialects.claude_web import Key, chats, device, mark, marked, organization, used_up
from parley.errors import CredentialRejected, UpstreamMalformed

SESSION = "sk-ant-sid01-abc_DEF=="


@pytest.mark.parametrize(
    "pasted",
    [SESSION, f"  {SESSION}\n", f"sessionKey={SESSION}", f"_ga=1; sessionKey={SESSION}; intercom=2"],
)
def test_a_session_key_may_be_pasted_alone_or_with_its_neighbours(pasted: str):
    assert Key(pasted).complete
    assert Key(pasted).header(whole=False) == f"sessionKey={SESSION}"


def test_what_the_site_needs_is_sent_beside_it():
    pasted = f"a=1; lastActiveOrg=o; __cf_bm=b; sessionKey={SESSION}; cf_clearance=c; anthropic-device-id=d; z=2"
    assert Key(pasted).header(whole=False) == (
        f"sessionKey={SESSION}; cf_clearance=c; __cf_bm=b; lastActiveOrg=o; anthropic-device-id=d"
    )
    assert Key(pasted).header(whole=True) == pasted


@pytest.mark.parametrize("pasted", ["", "  ", "_ga=1", "sessionKey="])
def test_without_a_session_key_there_is_no_header(pasted: str):
    assert not Key(pasted).complete
    with pytest.raises(CredentialRejected):
        Key(pasted).header(whole=True)


def test_a_renewed_key_takes_the_place_of_the_old_in_the_form_that_was_pasted():
    lines = ["__cf_bm=new; Path=/", "sessionKey=sk-ant-sid01-new; Path=/; HttpOnly"]
    assert Key(SESSION).rolled(lines) == "sk-ant-sid01-new"
    assert Key(f"a=1; sessionKey={SESSION}; b=2").rolled(lines) == "a=1; sessionKey=sk-ant-sid01-new; b=2"


@pytest.mark.parametrize("line", ["sessionKey=; Max-Age=0", f"sessionKey={SESSION}; Path=/", "other=1", "nonsense"])
def test_a_key_that_is_not_renewed_stays(line: str):
    assert Key(SESSION).rolled([line]) is None


def org(uuid: Any, *capabilities: str) -> dict[str, Any]:
    return {"id": 1, "uuid": uuid, "name": "x", "capabilities": list(capabilities), "rate_limit_tier": "default"}


@pytest.mark.parametrize(
    ("listed", "preferred", "chosen"),
    [
        ([org("0rg-made-up", "chat", "claude_pro"), org("api-org", "api")], "", "0rg-made-up"),
        ([org("api-org", "api"), org("0rg-made-up", "chat")], "api-org", "0rg-made-up"),
        ([org("a", "api"), org("b", "api")], "b", "b"),
        ([org("a", "api"), org("b", "api")], "unknown", "a"),
        ([{"uuid": "a", "capabilities": None}], "", "a"),
        ([{"name": "without"}, org("../../evil", "chat"), org("a")], "", "a"),
    ],
)
def test_the_organisation_that_may_chat_is_chosen(listed: list[Any], preferred: str, chosen: str):
    assert organization(listed, preferred) == chosen


@pytest.mark.parametrize("listed", [[], [None], [{"uuid": ""}]])
def test_an_account_of_no_organisation_is_none(listed: list[Any]):
    with pytest.raises(CredentialRejected):
        organization(listed)


@pytest.mark.parametrize("listed", [{}, None, "x"])
def test_a_list_of_organisations_that_is_none_is_malformed(listed: Any):
    with pytest.raises(UpstreamMalformed):
        organization(listed)


def window(utilization: Any, hours: float | None) -> dict[str, Any]:
    over = None if hours is None else (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    return {"utilization": utilization, "resets_at": over}


@pytest.mark.parametrize(
    ("usage", "hours"),
    [
        ({"five_hour": (42, 3), "seven_day": (7, 90)}, None),
        ({"five_hour": (100, 3), "seven_day": None}, 3),
        ({"five_hour": (100, 3), "seven_day": (100.0, 90)}, 90),
        ({"five_hour": (100, -1)}, None),
        ({"five_hour": (100, None)}, None),
        ({"five_hour": {"utilization": None}}, None),
        ({"five_hour": {"utilization": 100, "resets_at": "soon"}}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_window_that_is_used_up_says_until_when(usage: Any, hours: float | None):
    if isinstance(usage, dict):
        usage = {name: window(*one) if isinstance(one, tuple) else one for name, one in usage.items()}
    wait = used_up(usage)
    assert wait is None if hours is None else wait == pytest.approx(hours * 3600, abs=5)


def test_a_moment_without_a_zone_is_in_utc():
    moment = datetime.fromtimestamp(time.time() + 60, UTC).replace(tzinfo=None).isoformat()
    assert used_up({"x": {"utilization": 100, "resets_at": moment}}) == pytest.approx(60, abs=2)


def test_both_lists_of_conversations_can_be_read():
    assert chats([{"uuid": "a"}, {"uuid": "b"}]) == ["a", "b"]
    assert chats({"data": [{"uuid": "a"}, {"name": "x"}, None], "has_more": False}) == ["a"]
    for strange in ("x", {"data": None}, None):
        with pytest.raises(UpstreamMalformed):
            chats(strange)


def test_a_conversation_of_ours_bears_a_mark_that_only_its_credential_makes():
    made = [mark("cred-1") for _ in range(100)]
    assert len(set(made)) == 100
    for one in made:
        assert UUID(one).version == 4 and str(UUID(one)) == one
        assert marked("cred-1", one)
        assert not marked("cred-2", one)


def test_nobody_elses_conversation_bears_it():
    assert not any(marked("cred-1", str(uuid4())) for _ in range(1000))
    assert not any(marked("cred-1", strange) for strange in ("", "x", "api-org", "0" * 32))


def test_a_changed_letter_is_no_mark():
    one = mark("cred-1")
    for at, letter in itertools.product((0, 5, 20, 35), "0123456789abcdef"):
        if one[at] != letter:
            assert not marked("cred-1", one[:at] + letter + one[at + 1 :])


def test_a_credential_always_comes_from_the_same_device():
    assert device("cred-1") == device("cred-1") != device("cred-2")
    assert UUID(device("cred-1")).version == 4

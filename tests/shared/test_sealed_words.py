"""What upstreams say back to us is taken out of what we say on."""

from __future__ import annotations

import pytest

from parley.catalog import CredentialPlan, Upstream
from parley.errors import BadRequest, UpstreamBroken
from parley.leases import Credential
from parley.sealed import Secret, without

KEY = "sk-abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"Incorrect API key: {KEY}.", "Incorrect API key: ...."),
        (f"cut short: {KEY[:12]}", "cut short: ..."),
        (f"its end: {KEY[-9:]} and its middle: {KEY[8:20]}", "its end: ... and its middle: ..."),
        (f"{KEY}{KEY}", "..."),
        (f"masked: {KEY[:6]}...{KEY[-4:]}", f"masked: {KEY[:6]}...{KEY[-4:]}"),
        ("nothing of the kind", "nothing of the kind"),
        ("", ""),
    ],
)
def test_every_piece_of_a_secret_is_taken_out(said: str, left: str) -> None:
    assert without(said, [KEY]) == left


def test_a_short_secret_is_taken_out_as_a_whole_and_hardly_any_word_is_one() -> None:
    assert without("it is five5, or fiv", ["five5"]) == "it is ..., or fiv"
    assert without("a bc", ["", "a", "bc"]) == "a bc"


def test_a_failure_repeats_no_secret_of_its_upstream() -> None:
    """Neither of the credential that was used, as it is now and as it was given, nor of its neighbours."""
    plans = (
        CredentialPlan("one", {"csrf": Secret("csrf-as-it-was-given")}),
        CredentialPlan("two", {"value": Secret(KEY)}, proxy=Secret("http://me:password-of-a-proxy@far:1")),
    )
    upstream = Upstream("up", "openai", credentials=plans)
    credential = Credential("1", "one", {"csrf": Secret("renewed-csrf-token")})
    said = f"renewed-csrf-token, csrf-as-it-was-given, {KEY}, password-of-a-proxy!"
    with pytest.raises(UpstreamBroken) as broken, credential.unsaid(upstream):
        raise UpstreamBroken(said)
    assert broken.value.message == str(broken.value) == "..., ..., ..., ...!"


def test_a_code_or_a_parameter_that_is_a_secret_is_none() -> None:
    refused = BadRequest("no", code=KEY, param=f"headers.{KEY}")
    Credential("1", "one", {"value": Secret(KEY)}).keep_out_of(refused, Upstream("up", "openai"))
    assert (refused.code, refused.param, refused.message) == (None, None, "no")
    fine = BadRequest("no", code="invalid_value", param="messages[0].role")
    Credential("1", "one", {"value": Secret(KEY)}).keep_out_of(fine, Upstream("up", "openai"))
    assert (fine.code, fine.param) == ("invalid_value", "messages[0].role")

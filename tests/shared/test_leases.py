"""Leases are plain values; what they know of secrets is which of them an upstream may say back."""

from __future__ import annotations

import pytest

from parley.catalog import CredentialPlan, Upstream
from parley.errors import BadRequest
from parley.leases import Credential
from parley.sealed import Secret

SENT = {
    "a part": "the-part-itself",
    "another credential": "some-other-part",
    "a proxy": "proxy-password",
    "a header": "header-that-signs-in",
    "a password in the address": "address-password",
    "a key in its query": "key-in-the-query",
    "a user alone, in the credential's address": "user-that-is-a-key",
    "an escaped one, in that of another credential": "pass word/escaped",
}


def upstream() -> Upstream:
    other = "https://me:pass%20word%2Fescaped@west.example"
    return Upstream(
        "west",
        "openai",
        base_url=f"https://me:{SENT['a password in the address']}@west.example/v1?key={SENT['a key in its query']}",
        credentials=(CredentialPlan("other", {"value": Secret(SENT["another credential"])}, base_url=other),),
        options={"headers": {"x-key": SENT["a header"], "x-number": 5}},
    )


@pytest.mark.parametrize("which", SENT)
def test_what_was_sent_is_not_repeated(which: str) -> None:
    lent = Credential(
        "c",
        "main",
        {"value": Secret(SENT["a part"])},
        proxy=Secret(f"http://me:{SENT['a proxy']}@proxy.example"),
        base_url="https://user-that-is-a-key@west.example",
    )
    failure = BadRequest(f"I know you: {SENT[which]}!")
    lent.keep_out_of(failure, upstream())
    assert failure.message == "I know you: ...!"


def test_words_that_are_no_secret_stay() -> None:
    said = "west.example does not know the model big"
    failure = BadRequest(said)
    Credential("c", "main", {}).keep_out_of(failure, upstream())
    assert failure.message == said
    Credential("c", "main", {}).keep_out_of(failure, Upstream("east", "openai", base_url="https://east.example/v1"))
    assert failure.message == said

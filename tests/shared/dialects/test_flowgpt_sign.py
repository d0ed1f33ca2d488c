"""Signatures and tokens of FlowGPT."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from parley.dialects.flowgpt import Facts, check, fresh_nonce, read_token, signed, successor

NONCE = "0123456789abcdef0123456789abcdef"
FACTS = Facts(1735689600, NONCE, "V1StGXR8_Z5jdHi6B-myT", "Bearer a.b.c", b'{"question":"Hi"}')

# Each is what `printf '%s' INPUT | md5sum` says.
SIGNATURES = {
    "dash-auth": "c5a7514f5fa2e96f867d423cd390b12c",  # 1735689600-NONCE-Bearer a.b.c
    "concat-device": "b4fc997e305d318c55a3a4f6d6f99445",  # 1735689600NONCEV1StGXR8_Z5jdHi6B-myT
    "colon-device": "6d9de98e0bab75306054ebf58e70bb73",  # 1735689600:NONCE:V1StGXR8_Z5jdHi6B-myT
    "body": "a56031268658be2117d0076f1ebd7390",  # {"question":"Hi"}
    "{token}|{nonce}": "1628d3ccc9c18795c914f3cdbe2e571e",  # a.b.c|NONCE
}


@pytest.mark.parametrize("mode", SIGNATURES)
def test_a_signature_is_the_md5_of_its_formula(mode: str) -> None:
    assert signed(check(mode), FACTS) == {
        "x-nonce": NONCE,
        "x-timestamp": "1735689600",
        "x-signature": SIGNATURES[mode],
    }


def test_a_guest_signs_with_the_header_it_sends() -> None:
    guest = Facts(FACTS.timestamp, NONCE, "f-abc", "Bearer null", b"")
    assert signed("dash-auth", guest)["x-signature"] == "0a22abbb4e0f8b7d664ac7dae33d0470"


def test_what_a_value_holds_is_never_taken_for_a_place() -> None:
    odd = Facts(1, "{body}", "{token}", "Bearer x", b"b")
    plain = Facts(1, "n", "{token}", "Bearer x", b"b")
    assert signed("{nonce}", odd)["x-signature"] == "8e0090fce24dd8f1a1e8358b9467365b"  # {body}
    assert signed("{device}", plain) != signed("{token}", plain)


@pytest.mark.parametrize(
    ("letter", "name"), [("A", "concat-device"), ("b", "colon-device"), ("C", "dash-auth"), ("D", "body")]
)
def test_the_pages_letters_are_names_too(letter: str, name: str) -> None:
    assert check(f" {letter} ") == name


def test_a_captured_triple_is_replayed() -> None:
    mode = check("fixed:0123abcd:1730000000:" + "ab" * 16)
    assert signed(mode, FACTS) == {"x-nonce": "0123abcd", "x-timestamp": "1730000000", "x-signature": "ab" * 16}


def test_signing_can_be_switched_off() -> None:
    assert signed(check("off"), FACTS) == {}


@pytest.mark.parametrize("mode", ["", "E", "fixed:x", "sha256", "{nonsense}", "timestamp-nonce"])
def test_a_mode_that_is_none_is_refused(mode: str) -> None:
    with pytest.raises(ValueError, match="a signature mode is one of dash-auth"):
        check(mode)


def test_every_mode_has_its_turn_after_a_refusal() -> None:
    mode = "dash-auth"
    for following in ("concat-device", "colon-device", "body", "dash-auth"):
        mode = successor(mode)
        assert mode == following
    assert successor("{token}|{nonce}") == successor("fixed:a:1:" + "0" * 32) == "dash-auth"


def test_a_nonce_is_32_hexadecimal_characters_and_never_the_same() -> None:
    made = {fresh_nonce() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(nonce) == 32 and set(nonce) <= set("0123456789abcdef") for nonce in made)


# --- tokens ---------------------------------------------------------------------------------------------------------


def jwt(payload: Any) -> str:
    def part(facts: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(facts).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(payload)}.{base64.urlsafe_b64encode(b's' * 256).decode()}"


PAYLOAD = {"id": "user-1", "email": "a@example.com", "sub": "user-1", "iat": 1700000000.123, "exp": 1700604800.123}


@pytest.mark.parametrize("before", ["", "Bearer ", "bearer ", "  BEARER  "])
def test_a_token_is_read_with_or_without_the_word_before_it(before: str) -> None:
    token = read_token(f"{before}{jwt(PAYLOAD)} \n")
    assert (token.owner, token.expires) == ("user-1", 1700604800.123)
    assert token.authorization == f"Bearer {jwt(PAYLOAD)}"


def test_a_token_ends_a_minute_before_its_end() -> None:
    token = read_token(jwt(PAYLOAD))
    assert not token.ran_out(1700604740.0)
    assert token.ran_out(1700604740.2)


@pytest.mark.parametrize(
    "text",
    [
        "opaque",
        "a.b",
        "a.b.c",
        "a.!!!.c",
        "a.e30.c",
        jwt({"exp": "soon", "sub": 7}),
        jwt({"exp": True}),
        jwt([1]),
        "a.é.c",
    ],
)
def test_a_token_whose_end_cannot_be_read_is_believed(text: str) -> None:
    token = read_token(text)
    assert (token.text, token.owner, token.expires) == (text, "", None)
    assert not token.ran_out(9e12)


def test_a_token_is_not_seen_where_it_is_printed() -> None:
    assert jwt(PAYLOAD)[40:60] not in repr(read_token(jwt(PAYLOAD)))

"""Who may enter, by which key."""

from __future__ import annotations

import hashlib
from ipaddress import ip_network
from typing import Any

import pytest

from gateway.auth import ANYBODY, MASTER, Doorkeeper, NoKey, WrongKey
from parley.catalog import Caller
from parley.clock import monotonic, now
from parley.errors import NotFromHere, StateUnavailable, Unauthenticated
from parley.sealed import Secret

CALLER = Caller("azure-1")
CALLERS = {hashlib.sha256(b"f2b7").digest(): CALLER}


def bearing(key: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {key}".encode())]


def test_without_any_key_anybody_may_enter() -> None:
    door = Doorkeeper(None)
    assert door.open and door.admit([]) is ANYBODY and door.admit(bearing("x")) is ANYBODY


def test_keys_of_the_catalog_are_keys_beside_the_master_key() -> None:
    door = Doorkeeper(Secret("master"), CALLERS)
    assert not door.open
    assert door.admit(bearing("master")) is MASTER
    assert door.admit(bearing("f2b7")) is CALLER
    for wrong in ("f2b", "f2b7x", "F2B7", hashlib.sha256(b"f2b7").hexdigest()):
        with pytest.raises(Unauthenticated):
            door.admit(bearing(wrong))
    with pytest.raises(NoKey):
        door.admit([])


def test_with_keys_of_the_catalog_alone_nobody_else_may_enter() -> None:
    door = Doorkeeper(None, CALLERS)
    assert not door.open and door.admit(bearing("f2b7")) is CALLER
    with pytest.raises(NoKey):
        door.admit([])


def test_where_every_configured_key_is_unusable_the_door_stays_shut() -> None:
    door = Doorkeeper(None, {}, keyed=True)
    assert not door.open
    with pytest.raises(Unauthenticated):
        door.admit(bearing("anything"))


def test_no_key_is_kept() -> None:
    door = Doorkeeper(Secret("the-master-key"), CALLERS)
    kept = repr(vars(door))
    assert "the-master-key" not in kept and "f2b7" not in kept


def issued(**facts: Any) -> Doorkeeper:
    caller = Caller("alice", issued=True, **facts)
    return Doorkeeper(Secret("master"), {hashlib.sha256(b"k").digest(): caller})


def test_a_disabled_key_and_one_that_has_expired_open_nothing() -> None:
    for facts, told in (({"disabled": True}, "disabled"), ({"expires": now() - 1}, "expired")):
        with pytest.raises(Unauthenticated, match=told):
            issued(**facts).admit(bearing("k"))
    assert issued(expires=now() + 60).admit(bearing("k")).name == "alice"


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::7", True),
        ("11.0.0.1", False),
        ("", False),
        ("x", False),
    ],
)
def test_a_key_may_be_for_some_networks_alone(address: str, inside: bool) -> None:
    door = issued(networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")))
    if inside:
        assert door.admit(bearing("k"), address).name == "alice"
    else:
        with pytest.raises(NotFromHere):
            door.admit(bearing("k"), address)


def test_who_cannot_hear_of_revocations_believes_issued_keys_for_a_while_and_the_master_key_for_ever() -> None:
    heard = monotonic()
    callers = {
        hashlib.sha256(b"issued").digest(): Caller("alice", issued=True),
        hashlib.sha256(b"of-file").digest(): Caller("bob"),
    }
    door = Doorkeeper(Secret("master"), callers, confirmed=lambda: heard, blind=60)
    assert door.admit(bearing("issued")).name == "alice"
    with pytest.raises(WrongKey):
        door.admit(bearing("nobody's"))
    heard -= 61
    for key in ("issued", "nobody's"):
        with pytest.raises(StateUnavailable):
            door.admit(bearing(key))
    assert door.admit(bearing("of-file")).name == "bob"
    assert door.admit(bearing("master")) is MASTER

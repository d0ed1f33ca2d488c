"""Who may enter, by which key."""

from __future__ import annotations

import hashlib

import pytest

from gateway.auth import ANYBODY, MASTER, Doorkeeper, NoKey
from parley.catalog import Caller
from parley.errors import Unauthenticated
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

"""The page of keys, the scripts and what a record is, without much of a server."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files

import pytest

from parley.catalog import CredentialPlan
from parley.sealed import Seal, Secret
from parley.state import keys, script
from parley.state.records import LostKey, Records
from tests.shared.state.conftest import leaks, upstream

LUA = files("parley.state") / "lua"


OF_LIMITS = {script.ADMIT, script.READMIT, script.SETTLE, script.KEEP, script.FULLNESS, script.FORGET, script.GUESS}

OF_USAGE = {known for known in script.ALL if known.name.startswith("usage")}


WITHIN = script._assembled("_within").decode()
"""The one fragment that uses keys of both: those of limits as `key`, those of the upstream as `record`."""


@pytest.mark.parametrize(
    ("page", "scripts", "within"),
    [
        (keys.OF_AN_UPSTREAM, set(script.ALL) - OF_LIMITS - OF_USAGE, re.findall(r"record\('(\w+)'", WITHIN)),
        (keys.OF_LIMITS, OF_LIMITS, re.findall(r"key\('(\w+)'", WITHIN)),
    ],
    ids=["upstream", "limits"],
)
def test_scripts_use_the_keys_of_their_page_and_no_others(page, scripts, within):
    assert WITHIN in script.TAKE.text.decode()
    used = set(within)
    for known in scripts:
        for found in re.findall(r"key\('(\w+)'|name = '(\w+)'", known.text.decode().replace(WITHIN, "")):
            used |= set(found) - {""}
    assert used == {key.name for key in page}


def test_every_script_says_what_it_does_and_is_loaded_by_name():
    names = {path.name.removesuffix(".lua") for path in LUA.iterdir() if not path.name.startswith("_")}
    assert names == {known.name for known in script.ALL}
    for known in script.ALL:
        assert known.text.startswith(b"-- "), known.name
        assert b"--#include" not in known.text


def test_no_script_asks_any_clock_but_that_of_redis():
    for known in script.ALL:
        assert b"os.time" not in known.text
        assert b"os.clock" not in known.text


def test_a_key_that_nobody_planned_or_that_stays_is_found(redis, look):
    client = look
    client.set("stray", "x")
    client.zadd("parley:{up}:queue", {"t": 1})
    client.hset("parley:{up}:ready:0123456789ab", "x", "y")
    client.expire("parley:{up}:ready:0123456789ab", 100)
    client.set("parley:seal", "x")
    import redis as redis_py

    with redis_py.Redis.from_url(redis.url) as raw:
        found = sorted(leaks(raw))
    assert [problem.partition(":")[0] for problem in found] == ["parley", "parley", "stray"]
    assert "has no lifetime" in found[0]
    assert "is a hash, should be a zset" in found[1]
    client.flushall()


RECORDS = Records(Seal(b"one"))


def test_the_same_secret_for_the_same_place_has_the_same_name_whatever_its_alias():
    up = upstream(1)
    plan = up.credentials[0]
    name = RECORDS.name(up, plan)
    assert name == RECORDS.name(up, replace(plan, alias="another"))
    assert name != RECORDS.name(up, replace(plan, parts={"value": Secret("another")}))
    assert name != RECORDS.name(up, replace(plan, base_url="http://elsewhere"))
    assert name != RECORDS.name(replace(up, name="another"), plan)
    assert re.fullmatch("[0-9a-f]{12}", name)


def test_guests_are_told_apart_by_their_aliases():
    up = upstream(0, guests=2)
    assert len({RECORDS.name(up, plan) for plan in up.credentials}) == 2


def test_a_secret_configured_twice_is_enrolled_once():
    up = upstream(1)
    twice = replace(up, credentials=(*up.credentials, replace(up.credentials[0], alias="again")))
    assert len(RECORDS.enrollment(twice)) == 6


def fields(up, plan: CredentialPlan, records: Records = RECORDS) -> tuple[str, list[bytes]]:
    one = replace(up, credentials=(plan,))
    name, alias, guest, parts, route, _ = records.enrollment(one)
    return name, [str(value).encode() for value in (alias, guest, parts, route, 3, 2)]


def test_a_record_opens_to_what_was_sealed():
    plan = CredentialPlan("mine", {"value": Secret("s")}, proxy=Secret("http://p"), base_url="http://b")
    name, record = fields(upstream(0), plan)
    credential = RECORDS.opened("up", name, record)
    assert (credential.part(), credential.proxy.reveal(), credential.base_url) == ("s", "http://p", "http://b")
    assert (credential.generation, credential.epoch, credential.guest, credential.alias) == (3, 2, False, "mine")


def test_no_record_can_pose_as_another_and_no_other_key_opens_it():
    name, record = fields(upstream(0), CredentialPlan("mine", {"value": Secret("s")}))
    for upstream_name, identity, records in (
        ("up", "0123456789ab", RECORDS),
        ("other", name, RECORDS),
        ("up", name, Records(Seal(b"two"))),
    ):
        with pytest.raises(LostKey):
            records.opened(upstream_name, identity, record)


def test_what_is_not_there_is_none():
    assert RECORDS.opened("up", "0123456789ab", [None] * 6) is None

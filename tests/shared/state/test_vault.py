"""Lending and giving back: rotation, limits, rests, probes."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from dataclasses import replace

import pytest

from parley.catalog import CredentialPlan
from parley.clock import monotonic
from parley.errors import (
    BadRequest,
    Challenged,
    CredentialExpired,
    CredentialRejected,
    LimitReached,
    NothingToLend,
    QueueFull,
    Throttled,
    Unreachable,
    UpstreamBroken,
)
from parley.sealed import Seal, Secret
from parley.state.records import LostKey
from parley.state.terms import Terms
from tests.contents import contents
from tests.shared.state.conftest import replica, upstream

QUICK = Terms(lease=0.4, renew_every=0.1, window=0.5, renewal_rest=0.2)


async def settle(one) -> None:
    """Whatever was said without waiting is done when this returns."""
    await one.line.call("PING")


async def test_credentials_are_lent_in_the_order_of_the_configuration_again_and_again(redis):
    up = upstream(3)
    async with replica(redis.url, up) as one:
        aliases = []
        for _ in range(7):
            lease = await one.lend(up)
            aliases.append(lease.credential.alias)
            one.vault.give_back(lease, None)
        assert aliases == ["c0", "c1", "c2", "c0", "c1", "c2", "c0"]


async def test_two_replicas_share_one_rotation(redis):
    up = upstream(3)
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        aliases = [(await which.lend(up)).credential.alias for which in (one, two, two, one, two, one)]
        assert aliases == ["c0", "c1", "c2", "c0", "c1", "c2"]


async def test_a_lease_carries_the_secret_parts_its_own_way_and_the_place(redis):
    plan = CredentialPlan(
        "mine", {"user": Secret("u"), "word": Secret("密码")}, proxy=Secret("http://p"), base_url="http://b/"
    )
    up = replace(upstream(0), credentials=(plan,))
    async with replica(redis.url, up) as one:
        lease = await one.lend(up)
        assert lease.credential.part("user") == "u"
        assert lease.credential.part("word") == "密码"
        assert (lease.place.proxy, lease.place.base_url) == ("http://p", "http://b")


async def test_an_upstream_without_credentials_lends_an_open_door(redis):
    up = upstream(0)
    async with replica(redis.url, up) as one:
        lease = await one.lend(up)
        assert lease.credential.alias == "open"
        assert not lease.credential.parts


async def test_a_lease_is_given_back_once_however_often_it_is_said(redis):
    up = upstream(1, concurrency=2)
    async with replica(redis.url, up) as one:
        first, second = await one.lend(up), await one.lend(up)
        for _ in range(3):
            one.vault.give_back(first, None)
        seen = await one.vault.snapshot(up)
        assert (seen.taken, seen.returned, seen.held, seen.late) == (2, 1, 1, 0)
        one.vault.give_back(second, None)
        assert (await one.vault.snapshot(up)).held == 0


async def test_concurrency_is_a_limit_for_all_replicas_together(redis):
    up = upstream(2, concurrency=2)
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        leases = [await which.lend(up) for which in (one, two, one, two)]
        with pytest.raises(QueueFull):
            await one.lend(up)
        two.vault.give_back(leases[1], None)
        await settle(two)
        assert (await one.lend(up)).credential.id == leases[1].credential.id


async def test_pacing_counts_any_sliding_window_and_says_when_to_come_back(redis):
    up = upstream(1, per_minute=2)
    async with replica(redis.url, up, terms=QUICK) as one:
        for _ in range(2):
            one.vault.give_back(await one.lend(up), None)
        with pytest.raises(QueueFull) as refused:
            await one.lend(up, wait=0.1)
        assert 0.1 < refused.value.retry_after <= 0.501  # a stamp is rounded up to the next millisecond


async def test_tried_credentials_come_last_but_are_lent_when_nothing_else_is_usable(redis):
    up = upstream(3)
    async with replica(redis.url, up) as one:
        ids = [(await one.lend(up)).credential.id for _ in range(3)]
        assert (await one.lend(up, avoid={ids[0], ids[1]})).credential.id == ids[2]
        assert (await one.lend(up, avoid=set(ids))).credential.id in ids


async def test_a_throttled_credential_rests_and_the_others_go_on(redis):
    up = upstream(2)
    async with replica(redis.url, up) as one:
        lease = await one.lend(up)
        one.vault.give_back(lease, Throttled("slow down", retry_after=30))
        assert {(await one.lend(up)).credential.alias for _ in range(4)} == {"c1"}


async def test_when_all_rest_the_caller_is_told_at_once_when_the_first_comes_back(redis):
    up = upstream(2)
    async with replica(redis.url, up) as one:
        for hint in (50, 30):
            one.vault.give_back(await one.lend(up), Throttled("slow down", retry_after=hint))
        began = monotonic()
        with pytest.raises(LimitReached) as refused:
            await one.lend(up, wait=20)
        assert monotonic() - began < 1
        assert 29 < refused.value.retry_after <= 30


async def test_credentials_that_are_refused_are_a_503_and_not_a_429(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        one.vault.give_back(await one.lend(up), CredentialRejected("no"))
        with pytest.raises(NothingToLend) as refused:
            await one.lend(up)
        assert 50 < refused.value.retry_after <= 60


@pytest.mark.parametrize(
    ("hint", "seconds"), [(None, 20), (3, 3), (100, 100), (568_800, 900)], ids=["none", "short", "fair", "158 hours"]
)
async def test_hints_are_believed_up_to_the_longest_rest_of_their_kind(redis, hint, seconds):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        one.vault.give_back(await one.lend(up), Throttled("slow down", retry_after=hint))
        (row,) = (await one.vault.snapshot(up)).credentials
        assert seconds - 1 < row.rests <= seconds
        assert (row.reason, row.strikes) == ("rate_limit_exceeded", 1)


class Tired(Throttled):
    """Rests for a moment."""

    rest = 0.1
    longest_rest = 10.0


async def test_after_a_rest_one_lease_finds_out_and_success_ends_it(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        one.vault.give_back(await one.lend(up), Tired("slow down"))
        await asyncio.sleep(0.15)
        probe = await one.lend(up)
        assert probe.probe
        with pytest.raises(QueueFull):
            await two.lend(up, wait=0.2)
        one.vault.give_back(probe, None)
        await settle(one)
        assert not (await two.lend(up)).probe
        assert not (await two.lend(up)).probe


async def test_a_probe_that_fails_rests_twice_as_long(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        for rest in (0.1, 0.2, 0.4):
            lease = await one.lend(up)
            one.vault.give_back(lease, Tired("slow down"))
            (row,) = (await one.vault.snapshot(up)).credentials
            assert rest - 0.05 < row.rests <= rest
            await asyncio.sleep(rest + 0.01)


async def test_a_probe_that_learns_nothing_hands_the_task_on(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        one.vault.give_back(await one.lend(up), Tired("slow down"))
        await asyncio.sleep(0.15)
        one.vault.give_back(await one.lend(up), None, aborted=True)
        again = await one.lend(up)
        assert again.probe
        one.vault.give_back(again, BadRequest("the caller's own fault"))
        assert (await one.lend(up)).probe


async def test_a_probe_whose_process_died_does_not_block_the_credential_for_longer_than_its_lease(redis):
    up = upstream(1)
    async with replica(redis.url, up, terms=QUICK) as two:
        async with replica(redis.url, up, terms=replace(QUICK, renew_every=60)) as one:
            one.vault.give_back(await one.lend(up), Tired("slow down"))
            await asyncio.sleep(0.15)
            assert (await one.lend(up)).probe
        began = monotonic()
        assert (await two.lend(up, wait=2)).probe
        assert 0.2 < monotonic() - began < 1


async def test_the_first_word_of_a_probe_already_frees_the_credential(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        one.vault.give_back(await one.lend(up), Tired("slow down"))
        await asyncio.sleep(0.15)
        probe = await one.lend(up)
        one.vault.works(probe)
        assert not (await one.lend(up)).probe


async def test_an_answer_that_ends_well_does_not_lift_a_rest_that_is_not_over(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        slow, throttled = await one.lend(up), await one.lend(up)
        one.vault.give_back(throttled, Throttled("slow down"))
        one.vault.give_back(slow, None)
        with pytest.raises(LimitReached):
            await one.lend(up)


async def test_several_failures_of_one_moment_are_one_strike(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        leases = [await one.lend(up) for _ in range(4)]
        for lease in leases:
            one.vault.give_back(lease, Throttled("slow down"))
        (row,) = (await one.vault.snapshot(up)).credentials
        assert row.strikes == 1
        assert row.rests <= 20


async def test_a_challenge_rests_the_whole_upstream_at_once(redis):
    up = upstream(3)
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        one.vault.give_back(await one.lend(up), Challenged("a page for humans"))
        await settle(one)
        with pytest.raises(NothingToLend, match="upstream_challenge") as refused:
            await two.lend(up, wait=5)
        assert 299 < refused.value.retry_after <= 300


class Gone(Unreachable):
    """Rests for a moment."""

    rest = 0.1


async def test_an_unreachable_upstream_rests_after_two_failures_in_a_row_and_one_lease_probes(redis):
    up = upstream(3)
    async with replica(redis.url, up) as one:
        one.vault.give_back(await one.lend(up), Gone("no connection"))
        one.vault.give_back(await one.lend(up), None)
        one.vault.give_back(await one.lend(up), Gone("no connection"))
        lease = await one.lend(up)
        one.vault.give_back(lease, Gone("no connection"))
        with pytest.raises(NothingToLend):
            await one.lend(up)
        await asyncio.sleep(0.15)
        probe = await one.lend(up)
        assert probe.probe
        with pytest.raises(QueueFull):
            await one.lend(up)
        one.vault.give_back(probe, UpstreamBroken("it answers, badly"))
        again = await one.lend(up)
        assert again.probe
        one.vault.give_back(again, None)
        leases = [await one.lend(up) for _ in range(2)]
        assert not any(lease.probe for lease in leases)


async def test_the_failure_of_a_credentials_own_way_is_not_blamed_on_the_upstream(redis):
    plans = (
        CredentialPlan("own way", {"value": Secret("a")}, proxy=Secret("http://broken")),
        CredentialPlan("plain", {"value": Secret("b")}),
    )
    up = replace(upstream(0), credentials=plans)
    async with replica(redis.url, up) as one:
        one.vault.give_back(await one.lend(up), Challenged("a page for humans"))
        assert {(await one.lend(up)).credential.alias for _ in range(3)} == {"plain"}


async def test_an_expired_sign_in_that_nobody_can_renew_is_tried_again_later(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one:
        one.vault.give_back(await one.lend(up), CredentialExpired("gone"))
        (row,) = (await one.vault.snapshot(up)).credentials
        assert row.state == "ok"
        assert 50 < row.rests <= 60


async def test_leases_of_a_killed_replica_come_back_within_their_life(redis):
    up = upstream(1, concurrency=1)
    async with replica(redis.url, up, terms=QUICK) as two:
        async with replica(redis.url, up, terms=replace(QUICK, renew_every=60)) as one:
            await one.lend(up)
        began = monotonic()
        await two.lend(up, wait=3)
        assert monotonic() - began < QUICK.lease + 0.3
        seen = await two.vault.snapshot(up)
        assert (seen.taken, seen.expired, seen.held) == (2, 1, 1)


async def test_a_lease_in_use_is_kept_alive(redis):
    up = upstream(1, concurrency=1)
    async with replica(redis.url, up, terms=QUICK) as one, replica(redis.url, up, terms=QUICK) as two:
        lease = await one.lend(up)
        with pytest.raises(QueueFull):
            await two.lend(up, wait=1.2)
        one.vault.give_back(lease, None)
        seen = await one.vault.snapshot(up)
        assert (seen.taken, seen.returned, seen.expired, seen.late) == (1, 1, 0, 0)


async def test_a_late_return_is_counted_apart_and_what_it_says_is_still_learned(redis):
    up = upstream(1)
    terms = replace(QUICK, renew_every=60)
    async with replica(redis.url, up, terms=terms) as one:
        lease = await one.lend(up)
        await asyncio.sleep(0.5)
        await one.vault.snapshot(up)
        one.vault.give_back(lease, Throttled("slow down"))
        seen = await one.vault.snapshot(up)
        assert (seen.taken, seen.returned, seen.expired, seen.late, seen.held) == (1, 0, 1, 1, 0)
        assert seen.credentials[0].reason == "rate_limit_exceeded"


async def test_a_caller_who_hangs_up_while_asking_leaves_no_lease_behind(redis):
    up = upstream(1, concurrency=1)
    async with replica(redis.url, up) as one:
        for _ in range(20):
            task = asyncio.create_task(one.lend(up))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await settle(one)
        seen = await one.vault.snapshot(up)
        assert seen.taken == seen.returned > 0
        assert (seen.held, seen.waiting) == (0, 0)


async def test_a_secret_rolled_under_way_is_kept_unless_it_was_renewed_meanwhile(redis):
    up = upstream(1)
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        old, lease = await one.lend(up), await one.lend(up)
        lease.renewed = {"value": Secret("rolled")}
        one.vault.give_back(lease, None)
        await settle(one)
        newer = await two.lend(up)
        assert (newer.credential.part(), newer.credential.generation) == ("rolled", 2)
        old.renewed = {"value": Secret("stale")}
        one.vault.give_back(old, None)
        await settle(one)
        assert (await two.lend(up)).credential.part() == "rolled"


async def test_a_changed_way_or_alias_of_a_credential_is_followed_without_a_new_secret(redis):
    up = upstream(2)
    way = replace(up.credentials[0], proxy=Secret("http://p"), timeouts={"total": 7.0}, alias="renamed")
    changed = replace(up, credentials=(way, up.credentials[1]))
    async with replica(redis.url, up) as one, replica(redis.url, up) as two:
        for which in (one, two):
            await which.lend(up)
            await which.lend(up)
            await which.vault.follow([changed])
            lease = await which.lend(changed)
            assert (lease.place.proxy, lease.place.timeouts.total, lease.credential.alias) == (
                "http://p",
                7.0,
                "renamed",
            )
            assert (await which.lend(changed)).credential.alias == "c1"
            which.vault._desks.of(changed).known["0123456789ab"] = lease.credential  # forgotten in Redis long ago
            await which.vault.enroll(changed)
            assert "0123456789ab" not in which.vault._desks.of(changed).known


async def test_enrolling_again_changes_nothing_and_a_new_configuration_is_followed(redis):
    up = upstream(2)
    async with replica(redis.url, up) as one:
        one.vault.give_back(await one.lend(up), Throttled("slow down"))
        await settle(one)
    fewer = replace(up, credentials=(up.credentials[0], CredentialPlan("new", {"value": Secret("n")})))
    async with replica(redis.url, fewer) as one:
        rows = (await one.vault.snapshot(fewer)).credentials
        assert {row.alias: bool(row.rests) for row in rows} == {"c0": True, "new": False}


async def test_a_redis_that_lost_everything_is_enrolled_anew(redis, look):
    up = upstream(2)
    async with replica(redis.url, up) as one:
        look.flushall()
        assert (await one.lend(up)).credential.part() == "secret-0"


async def test_scripts_are_sent_again_after_they_were_flushed(redis, look):
    up = upstream(1, concurrency=1)
    async with replica(redis.url, up) as one:
        look.script_flush()
        lease = await one.lend(up)
        look.script_flush()
        one.vault.give_back(lease, None)
        await settle(one)
        await settle(one)
        seen = await one.vault.snapshot(up)
        assert (seen.taken, seen.returned) == (1, 1)


async def test_a_lost_seal_key_refuses_the_start_with_its_remedy(redis):
    up = upstream(1)
    async with replica(redis.url, up):
        pass
    with pytest.raises(LostKey, match=r"PARLEY_SECRET.*FLUSHDB"):
        async with replica(redis.url, up, seal=Seal(b"another key")):
            pass


async def test_no_secret_stands_in_redis_in_clear(redis):
    canary = "canary-8f3a"
    plan = CredentialPlan("mine", {"value": Secret(canary)}, proxy=Secret(f"http://u:{canary}@p"))
    up = replace(upstream(0), credentials=(plan,))
    async with replica(redis.url, up) as one:
        lease = await one.lend(up)
        lease.renewed = {"value": Secret(canary + "-rolled")}
        one.vault.give_back(lease, None)
        await settle(one)
        held = dict(contents(redis.url))
        assert held and canary.encode() not in b"".join(held.values())
        assert canary not in repr(lease)


async def test_nothing_is_left_over_in_the_process(redis):
    up = upstream(2, concurrency=1)
    before = len(asyncio.all_tasks())
    async with replica(redis.url, up) as one:

        async def once() -> None:
            lease = await one.lend(up, wait=10)
            await asyncio.sleep(0)
            one.vault.give_back(lease, None)

        await asyncio.gather(*(once() for _ in range(40)))
        await settle(one)
        assert one.vault.out == 0
        assert not one.line._wire.under_way
    await asyncio.sleep(0)
    gc.collect()
    assert len(asyncio.all_tasks()) == before


async def test_a_wide_burst_over_four_replicas_rotates_exactly(redis):
    up = upstream(3)
    lent: Counter[str] = Counter()
    async with (
        replica(redis.url, up) as a,
        replica(redis.url, up) as b,
        replica(redis.url, up) as c,
        replica(redis.url, up) as d,
    ):
        leases = await asyncio.gather(*(which.lend(up) for which in (a, b, c, d) for _ in range(75)))
        lent.update(lease.credential.alias for lease in leases)
    assert lent == {"c0": 100, "c1": 100, "c2": 100}


async def test_a_hint_that_is_no_number_of_seconds_is_none(redis):
    up = upstream(4)
    async with replica(redis.url, up) as one:
        for hint in (float("nan"), -5.0, 0.0, float("inf")):
            one.vault.give_back(await one.lend(up), Throttled("slow down", retry_after=hint))
        rests = [round(row.rests) for row in (await one.vault.snapshot(up)).credentials]
        assert sorted(rests) == [20, 20, 20, 900]


async def test_a_failed_call_of_the_keeper_counts_as_an_answer_would(redis):
    up = upstream(2)
    async with replica(redis.url, up) as one:
        (first, second) = (await one.vault.snapshot(up)).credentials
        one.vault.report(up, await one.vault.credential(up, first.id), Throttled("slow down"))
        one.vault.report(up, await one.vault.credential(up, second.id), CredentialExpired("gone"))
        rows = {row.id: row for row in (await one.vault.snapshot(up)).credentials}
        assert rows[first.id].reason == "rate_limit_exceeded"
        assert rows[second.id].state == "expired"


async def test_a_probe_that_finds_a_credential_well_ends_its_refusal_and_no_other_rest(redis):
    up = upstream(2)
    async with replica(redis.url, up) as one:
        refused, throttled = await one.lend(up), await one.lend(up)
        one.vault.give_back(refused, CredentialRejected("no"))
        one.vault.give_back(throttled, Throttled("slow down"))
        for lease in (refused, throttled):
            one.vault.found_well(up, lease.credential, CredentialRejected.code)
        assert {(await one.lend(up)).credential.id for _ in range(3)} == {refused.credential.id}

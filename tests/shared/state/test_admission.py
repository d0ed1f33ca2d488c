"""Admitted to all limits or to none: requests, tokens, places and budgets, over several lines to one Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from parley.catalog import Budget, Limits
from parley.errors import LimitReached, OverBudget, OverLimit, OverTokens, StateUnavailable
from parley.state import keys, script
from parley.state.scopes import facts
from parley.state.terms import Terms
from tests.shared.state.admitting import KEY, gate, money
from tests.shared.state.clockwork import Clockwork, clockwork

MINUTE = 60_000


async def test_a_request_counts_for_all_of_its_scopes_or_for_none(redis):
    key, model = Limits(requests_per_minute=5), Limits(requests_per_minute=3)
    async with gate(redis.url) as one:
        scopes = [("key:a", key), ("model:m", model)]
        for _ in range(3):
            await one.admission.admit(scopes, tokens=1, cost=0)
        with pytest.raises(OverLimit) as refused:
            await one.admission.admit(scopes, tokens=1, cost=0)
        assert (refused.value.scope, refused.value.limit) == ("model:m", "requests_per_minute")
        full = await one.admission.fullness(["key:a", "model:m"])
        assert [full[name].minute[0] for name in ("key:a", "model:m")] == [3, 3]


async def test_what_is_left_is_told_by_the_tightest_scope(redis):
    async with gate(redis.url) as one:
        scopes = [
            ("key:a", Limits(requests_per_minute=60, requests_per_day=50, tokens_per_minute=1000)),
            ("model:m", Limits(requests_per_minute=500, tokens_per_minute=900)),
        ]
        admitted = await one.admission.admit(scopes, tokens=100, cost=0)
        assert admitted.shared
        assert admitted.requests[:2] == (50, 49)
        assert admitted.requests.reset == pytest.approx(86_400, abs=1)
        assert admitted.tokens[:2] == (900, 800)
        assert admitted.tokens.reset == pytest.approx(60, abs=1)


async def test_nothing_limited_asks_nobody(redis):
    async with gate(redis.url) as one:
        with redis.paused():
            admitted = await one.admission.admit([("key:a", Limits()), ("model:m", Limits())], tokens=5, cost=5)
            one.admission.settle(admitted, 3, 3)
        assert (admitted.requests, admitted.tokens, one.admission.running) == (None, None, 0)


async def test_a_refusal_says_which_limit_of_whom_and_when_all_have_room_again(redis):
    async with gate(redis.url) as one:
        both = Limits(requests_per_minute=2, requests_per_day=1)
        await one.admit(both)
        with pytest.raises(OverLimit) as refused:
            await one.admit(both)
        failure = refused.value
        assert isinstance(failure, LimitReached)
        assert (failure.status, failure.type, failure.code) == (429, "requests", "rate_limit_exceeded")
        assert (failure.blames, failure.try_next) == ("caller", False)
        assert failure.limit == "requests_per_day"
        assert failure.retry_after == pytest.approx(86_400, abs=2)
        assert failure.requests[:2] == (1, 0)
        assert str(failure).startswith(
            f"Rate limit reached for '{KEY}' on requests per day: limit 1, used 1, requested 1. Please try again in 86"
        )


async def test_tokens_are_refused_until_enough_of_them_have_left(redis):
    tokens = Limits(tokens_per_minute=100)
    async with gate(redis.url, terms=Terms(window=0.4)) as one:
        await one.admit(tokens, 60)
        await asyncio.sleep(0.2)
        await one.admit(tokens, 40)
        with pytest.raises(OverTokens) as refused:
            await one.admit(tokens, 61)  # more than the first gives back
        assert refused.value.type == "tokens"
        assert 0.3 < refused.value.retry_after <= 0.41
        await asyncio.sleep(refused.value.retry_after)
        await one.admit(tokens, 61)


async def test_what_never_fits_is_refused_without_a_time_to_come_back(redis):
    async with gate(redis.url) as one:
        with pytest.raises(OverTokens) as refused:
            await one.admit(Limits(tokens_per_minute=100), 101)
        assert refused.value.retry_after is None
        assert str(refused.value) == (f"Request too large for '{KEY}' on tokens per minute: limit 100, requested 101.")


@pytest.mark.parametrize(("took", "fits"), [(10, 90), (50, 50), (70, 30), (100, 0)])
async def test_tokens_are_reserved_then_settled_on_what_it_took(redis, took, fits):
    tokens = Limits(tokens_per_minute=100, tokens_per_day=100)
    async with gate(redis.url) as one:
        admitted = await one.admit(tokens, 50)
        assert not await one.admits(tokens, tokens=51)
        one.admission.settle(admitted, took, 0)
        assert not await one.admits(tokens, tokens=fits + 1)
        assert not fits or await one.admits(tokens, tokens=fits)


async def test_what_is_released_took_nothing_but_it_was_a_request(redis):
    limits = Limits(2, 0, 100, 0, 1, (Budget("money", 100, "month"), Budget("tokens", 100, "total")))
    async with gate(redis.url) as one:
        one.admission.release(await one.admit(limits, 100, 100))
        one.admission.release(await one.admit(limits, 100, 100))
        full = (await one.admission.fullness([KEY]))[KEY]
        assert (full.minute, full.running) == ((2, 0), 0)
        assert {which: spent.amount for which, spent in full.spent.items()} == {
            ("money", "month"): 0,
            ("tokens", "total"): 0,
        }


async def test_only_the_first_word_on_its_end_counts(redis):
    async with gate(redis.url) as one:
        admitted = await one.admit(money(100), cost=50)
        one.admission.settle(admitted, 0, 30)
        one.admission.settle(admitted, 0, 90)
        one.admission.release(admitted)
        assert await one.admits(money(100), cost=70)
        assert one.admission.running == 1


# --- budgets ----------------------------------------------------------------------------------------------------------


async def test_two_hundred_at_once_on_a_budget_for_ten_are_ten(redis):
    budget = money(10_000_000)
    async with AsyncExitStack() as stack:
        gates = [await stack.enter_async_context(gate(redis.url)) for _ in range(4)]
        admitted = await asyncio.gather(*(one.admits(budget, cost=1_000_000) for one in gates for _ in range(50)))
        assert sum(admitted) == 10
        with pytest.raises(OverBudget) as refused:
            await gates[0].admit(budget, cost=1_000_000)
        assert (refused.value.type, refused.value.code) == ("insufficient_quota", "insufficient_quota")
        assert refused.value.limit == "money_per_month"
        assert "limit 10, used 10, requested 1." in str(refused.value)
        assert 0 < refused.value.retry_after <= 31 * 86_400


async def test_a_budget_is_never_overspent_while_all_take_less_than_they_reserved(redis):
    budget, spent, most = money(1000), 0, 0
    async with AsyncExitStack() as stack:
        gates = [await stack.enter_async_context(gate(redis.url)) for _ in range(4)]

        async def caller(one, number: int) -> None:
            nonlocal spent, most
            while spent <= 900:
                try:
                    admitted = await one.admit(budget, cost=100)
                except OverBudget:
                    continue
                await asyncio.sleep(0)
                one.admission.settle(admitted, 0, 10 + number)
                spent += 10 + number
                most = max(most, spent)

        await asyncio.gather(*(caller(one, number) for one in gates for number in range(5)))
        assert most <= 1000
        full = (await gates[0].admission.fullness([KEY]))[KEY]
        assert full.spent["money", "month"].amount == spent


async def test_an_answer_that_cost_more_than_reserved_stops_the_next(redis):
    async with gate(redis.url) as one:
        one.admission.settle(await one.admit(money(100, "total"), cost=10), 0, 120)
        with pytest.raises(OverBudget) as refused:
            await one.admit(money(100, "total"), cost=1)
        assert refused.value.retry_after is None
        assert await one.admits(money(200, "total"), cost=80)  # the operator gave more


async def test_of_two_budgets_of_a_kind_the_smaller_counts_and_nothing_counts_twice(redis):
    budgets = Limits(budgets=(Budget("tokens", 50, "day"), Budget("tokens", 20, "day")))
    async with gate(redis.url) as one:
        assert await one.admits(budgets, tokens=20)
        assert not await one.admits(budgets, tokens=1)


# --- places -----------------------------------------------------------------------------------------------------------


async def test_places_are_kept_while_an_answer_runs_and_free_when_it_is_over(redis):
    two = Limits(concurrency=2)
    async with gate(redis.url, terms=Terms(lease=0.3, renew_every=0.1)) as one, gate(redis.url) as other:
        held = await one.fill(two)
        assert len(held) == 2
        await asyncio.sleep(0.5)
        with pytest.raises(OverLimit) as refused:
            await other.admit(two)
        assert refused.value.limit == "concurrency"
        assert refused.value.retry_after == 1.0
        one.admission.settle(held[0], 1, 0)
        assert await one.admits(two)
        assert not await other.admits(two)


async def test_a_caller_who_hangs_up_while_asking_takes_no_place(redis):
    one_place = Limits(requests_per_minute=2, concurrency=1)
    async with gate(redis.url) as one:
        asking = asyncio.create_task(one.admit(one_place))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await one.admits(one_place)
        full = (await one.admission.fullness([KEY]))[KEY]
        assert (full.minute[0], full.running) == (1, 1)


# --- time -------------------------------------------------------------------------------------------------------------


def told(request: str, limits: Limits, tokens: int = 1, cost: int = 0) -> list:
    return [request, tokens, cost, 15_000, 3_600_000, MINUTE, KEY, *facts(limits)]


def admissions(clock: Clockwork, limits: Limits, times: int, step: int) -> list[int]:
    replies = clock.runs(script.ADMIT, (told(f"r{number}", limits) for number in range(times)), step)
    return [moment for moment, reply in replies if reply[0] == "admitted"]


def test_sixty_a_minute_are_sixty_in_any_sixty_seconds_and_none_is_lost_at_the_boundary(running_redis):
    with clockwork(running_redis.url) as clock:  # it begins two seconds before the hour
        admitted = admissions(clock, Limits(requests_per_minute=60), 1000, 130)
    assert all(later - sooner > MINUTE for sooner, later in zip(admitted, admitted[60:], strict=False))
    # As soon as one has left, the next is admitted: at the first question after it.
    assert all(later - sooner <= MINUTE + 131 for sooner, later in zip(admitted, admitted[60:], strict=False))
    assert len(admitted) == 180


def test_a_wide_limit_is_never_passed_and_gives_room_back_a_tenth_of_a_second_late_at_most(running_redis):
    with clockwork(running_redis.url) as clock:
        admitted = admissions(clock, Limits(requests_per_minute=900, tokens_per_minute=900), 4000, 37)
        assert clock.client.zcard(f"{keys.LIMITS}minute:{KEY}") <= 2 + 600 + 600 + 1
        assert clock.client.memory_usage(f"{keys.LIMITS}minute:{KEY}", samples=0) < 130_000
    gaps = [later - sooner for sooner, later in zip(admitted, admitted[900:], strict=False)]
    assert min(gaps) > MINUTE
    assert max(gaps) <= MINUTE + 100 + 38


def test_a_day_is_any_sliding_one_in_few_entries(running_redis):
    with clockwork(running_redis.url) as clock:
        admitted = admissions(clock, Limits(requests_per_day=1000), 2900, MINUTE)
        assert clock.client.zcard(f"{keys.LIMITS}day:{KEY}") <= 2 + 100 + 288 + 1
        assert clock.client.memory_usage(f"{keys.LIMITS}day:{KEY}", samples=0) < 45_000
    gaps = [later - sooner for sooner, later in zip(admitted, admitted[1000:], strict=False)]
    assert min(gaps) > 86_400_000
    assert max(gaps) <= 86_400_000 + 300_000 + MINUTE


def test_what_is_settled_after_its_minute_or_its_period_changes_nothing(running_redis):
    limits = Limits(tokens_per_minute=100, budgets=(Budget("money", 100, "minute"),))
    with clockwork(running_redis.url) as clock:
        assert clock.run(script.ADMIT, *told("r1", limits, 100, 100))[0] == "admitted"
        clock.move(MINUTE + 1)
        assert clock.run(script.ADMIT, *told("r2", limits, 90, 90))[0] == "admitted"
        assert clock.run(script.SETTLE, "r1", 0, 0, 1, MINUTE, 0) == 1
        assert clock.run(script.ADMIT, *told("r3", limits, 11, 0))[0] == "refused"
        assert clock.run(script.ADMIT, *told("r3", limits, 0, 11))[0] == "refused"
        assert clock.run(script.ADMIT, *told("r3", limits, 10, 10))[0] == "admitted"


# --- the whole --------------------------------------------------------------------------------------------------------


async def test_a_scope_that_is_forgotten_leaves_nothing(redis, look):
    limits = Limits(10, 10, 1000, 1000, 5, (Budget("money", 100, "month"), Budget("money", 100, "total")))
    async with gate(redis.url) as one:
        admitted = await one.admit(limits, cost=100)
        await one.admission.forget(KEY)
        one.admission.settle(admitted, 1, 1)
        await one.admission.fullness([KEY])
        assert set(look.keys()) <= {f"{keys.LIMITS}changed"}
        assert await one.admits(limits, cost=100)


async def test_idle_scopes_vanish(redis, look):
    limits = Limits(10, 0, 1000, 0, 5, (Budget("money", 100, "minute"),))
    async with gate(redis.url, terms=Terms(lease=0.2, renew_every=0.1, window=0.1)) as one:
        one.admission.settle(await one.admit(limits, cost=1), 1, 1)
        await one.admission.fullness([KEY])
        lives = {name: look.pttl(name) for name in look.scan_iter()}
        assert set(lives) == {f"{keys.LIMITS}minute:{KEY}", f"{keys.LIMITS}spent:{KEY}", f"{keys.LIMITS}changed"}
        assert lives[f"{keys.LIMITS}minute:{KEY}"] < 3000
        assert lives[f"{keys.LIMITS}spent:{KEY}"] <= MINUTE


async def test_a_process_reads_what_others_changed_page_by_page_and_nothing_twice(redis):
    limits = Limits(requests_per_minute=5)
    async with gate(redis.url) as one, gate(redis.url) as two:
        await asyncio.gather(*(one.admit(limits, scope=f"key:{number}") for number in range(250)))
        seen = Counter()
        two.admission._shares.saw = lambda at, rows, whole: seen.update(row[0] for row in rows)
        await two.admission.look(2, 1)
        await two.admission.look(2, 1)
        assert len(seen) == 250
        assert set(seen.values()) == {1}


async def test_a_request_that_redis_was_told_of_as_over_before_it_came_is_refused(redis):
    async with gate(redis.url) as one:
        one.admission._name, one.admission._count = "late", iter(range(9))
        one.admission._settlement.void("late-0")
        with pytest.raises(StateUnavailable):
            await one.admit(Limits(requests_per_minute=1))
        assert await one.admits(Limits(requests_per_minute=1))

"""What a process may admit by itself, without any Redis: never more in all than the limit, whatever happened before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.catalog import Limits
from parley.clock import monotonic
from parley.errors import OverLimit, StateUnavailable
from parley.state import periods, script
from parley.state.scopes import REQUESTS, TOKENS, Amounts
from parley.state.script import Script
from parley.state.shares import Shares
from parley.state.tally import Tally
from tests.shared.state.clockwork import clockwork

LENGTH = 60.0


@settings(max_examples=80, deadline=None)
@given(
    limit=st.integers(1, 40),
    used=st.lists(st.floats(-60, 0), max_size=40),
    asked=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 25)), max_size=60),
)
def test_four_tallies_never_pass_a_limit_in_any_window(limit, used, asked):
    """`used` are moments before Redis was last heard of, at 0; then the four are asked in turns."""
    used = sorted(used)[:limit]
    tallies = [Tally(LENGTH, 0.0) for _ in range(4)]
    for tally in tallies:
        tally.saw(len(used), 0, 0.0)
    moment, admitted = 0.001, list(used)
    for who, pause in asked:
        moment += pause
        if tallies[who].left(limit, REQUESTS, lambda amount, place=who: amount // 4 + (place < amount % 4), moment) > 0:
            tallies[who].add(moment, 1)
            admitted.append(moment)
        assert sum(1 for at in admitted if at > moment - LENGTH) <= limit


def test_a_tally_gives_back_what_was_not_taken_until_it_has_left():
    def whole(amount: int) -> int:
        return amount

    tally = Tally(LENGTH, 0.0)
    tally.saw(1, 400, 0.0)
    entry = tally.add(1.0, 500)
    assert tally.left(1000, TOKENS, whole, 1.0) == 100
    tally.change(entry, -450, 2.0)
    assert tally.left(1000, TOKENS, whole, 2.0) == 550
    assert tally.left(1000, TOKENS, whole, 60.1) == 950  # what Redis spoke of has left
    assert tally.left(1000, TOKENS, whole, 61.3) == 1000
    tally.change(entry, +450, 62.0)
    assert tally.left(1000, TOKENS, whole, 62.0) == 1000


def test_a_tally_keeps_few_entries():
    tally = Tally(LENGTH, -LENGTH)
    for number in range(10_000):
        tally.add(number * 0.006, 1)
    assert len(tally._entries) <= 301
    assert tally.left(10_000, REQUESTS, lambda amount: amount, 60.0) == 0


def test_of_a_scope_that_had_to_be_forgotten_nothing_is_admitted(monkeypatch):
    monkeypatch.setattr("parley.state.shares._MOST", 2)
    limits = Limits(requests_per_minute=4)
    shares = Shares(LENGTH)
    shares.fleet(1, 0)
    shares.saw(0, [[b"key:1", 4, 0, 0, 0, 0], [b"key:2", 1, 0, 0, 0, 0]], whole=True)
    shares.admit([("key:3", limits)], Amounts(1, 0))
    shares.saw(0, [[b"key:4", 1, 0, 0, 0, 0]], whole=True)
    with pytest.raises(StateUnavailable):
        shares.admit([("key:1", limits)], Amounts(1, 0))
    shares.admit([("key:4", limits)], Amounts(1, 0))


def test_what_is_idle_for_a_day_is_forgotten_and_is_idle(monkeypatch):
    shares = Shares(LENGTH)
    shares.fleet(1, 0)
    shares.saw(0, [[b"key:1", 4, 0, 0, 0, 0]], whole=True)
    with pytest.raises(OverLimit):
        shares.admit([("key:1", Limits(requests_per_minute=4))], Amounts(1, 0))
    later = monotonic() + 86_401
    monkeypatch.setattr("parley.state.shares.monotonic", lambda: later)
    shares.saw(0, [], whole=True)
    assert not shares._known
    shares.admit([("key:1", Limits(requests_per_minute=4))], Amounts(1, 0))


def test_a_limit_that_changed_counts_at_once():
    shares = Shares(LENGTH)
    shares.fleet(2, 0)
    shares.saw(0, [[b"key:1", 10, 0, 0, 0, 0]], whole=True)
    with pytest.raises(OverLimit):
        shares.admit([("key:1", Limits(requests_per_minute=10))], Amounts(1, 0))
    shares.admit([("key:1", Limits(requests_per_minute=12))], Amounts(1, 0))


# --- the calendar -----------------------------------------------------------------------------------------------------

_PERIOD = """-- The periods of a moment.
--#include period
local reply = {}
for _, kind in ipairs({ 'minute', 'hour', 'day', 'week', 'month', 'total' }) do
  local number, ends = period(kind, tonumber(ARGV[1]))
  reply[#reply + 1] = number
  reply[#reply + 1] = ends == math.huge and -1 or ends
end
return reply
"""


def test_both_calendars_agree_and_every_period_ends_where_the_next_begins(running_redis):
    asked = Script("guess")
    text = script._INCLUDE.sub(lambda found: (script._LUA / f"_{found[1]}.lua").read_text("utf-8"), _PERIOD)
    asked.name, asked.text = "periods", b"local DAY = 86400000\n" + text.encode()
    dates = [
        datetime(year, month, 1, tzinfo=UTC) for year in (1970, 1999, 2000, 2024, 2100, 2101) for month in range(1, 13)
    ]
    seconds = [
        int(date.timestamp()) + shift for date in dates for shift in (0, 1, 86_399, 5 * 86_400, 27 * 86_400 + 43_201)
    ]
    with clockwork(running_redis.url) as clock:
        replies = clock.runs(asked, ([second * 1000] for second in seconds))
    for second, (_, reply) in zip(seconds, replies, strict=True):
        for nth, period in enumerate(("minute", "hour", "day", "week", "month")):
            number, ends = reply[2 * nth : 2 * nth + 2]
            assert number == periods.number(period, second)
            assert periods.number(period, ends / 1000) == number + 1
            assert periods.number(period, ends / 1000 - 1) == number
        assert reply[10:] == [0, -1]


def test_a_week_begins_on_monday():
    monday = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
    assert periods.number("week", monday) == periods.number("week", monday - 1) + 1

"""Pages of a list: all of it, in order, nothing twice, whatever its pages are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from console.listing import Paging, page
from parley.errors import BadRequest

Row = tuple[int, str]


@given(some.sets(some.tuples(some.integers(-5, 5), some.text(max_size=5)), max_size=40), some.integers(1, 10))
def test_pages_together_are_the_whole_list_in_order(rows: set[Row], limit: int) -> None:
    seen: list[Row] = []
    after: str | None = None
    while True:
        some_of_it = page(rows, Paging(limit=limit, after=after), lambda row: row)
        assert len(some_of_it.data) <= limit
        seen += some_of_it.data
        assert some_of_it.has_more is (some_of_it.next is not None)
        if some_of_it.next is None:
            break
        after = some_of_it.next
    assert seen == sorted(rows)


def test_what_goes_away_between_two_pages_makes_no_gap() -> None:
    rows = [(number, "x") for number in range(6)]
    first = page(rows, Paging(limit=3), lambda row: row)
    rest = page([row for row in rows if row[0] not in (0, 2)], Paging(limit=3, after=first.next), lambda row: row)
    assert [number for number, _ in rest.data] == [3, 4, 5]


@pytest.mark.parametrize("foreign", ["", "%%%", "e30", "WzEsMl0", "WyJhIiwxXQ", "bnVsbA", "ü"])
def test_a_cursor_of_somebody_elses_is_refused(foreign: str) -> None:
    with pytest.raises(BadRequest, match="after"):
        page([(1, "a")], Paging(after=foreign), lambda row: row)

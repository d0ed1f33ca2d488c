"""Every kind of failure has a status, an envelope, and headers that steer the clients' retries."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from parley import errors
from parley.envelope import told, unexpected
from parley.errors import AnswerTimeout, BadRequest, Failure, NothingToLend, QuotaExhausted, Throttled, Unreachable
from tests.schema import check_error


def kinds(root: type[Failure] = Failure) -> Iterator[type[Failure]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from kinds(kind)


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_every_kind_is_a_whole_response(kind: type[Failure]) -> None:
    status, headers, body = told(kind("It failed."))
    check_error(json.loads(body))
    said = dict(headers)
    assert status == kind.status
    assert int(said[b"content-length"]) == len(body)
    if status in (429, 503):
        assert int(said[b"retry-after"]) >= 1
    assert (b"www-authenticate" in said) == (status == 401)
    if int(said.get(b"retry-after", b"0")) > 60:
        assert said[b"x-should-retry"] == b"false"


def headers(failure: Failure) -> dict[bytes, bytes]:
    return dict(told(failure).headers)


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"),
    [(0.0, b"1", b"1"), (0.006, b"1", b"6"), (1.2, b"2", b"1200"), (60, b"60", b"60000")],
)
def test_short_waits_are_said_alone(seconds: float, whole: bytes, milliseconds: bytes) -> None:
    said = headers(Throttled("Slow down.", retry_after=seconds))
    assert (said[b"retry-after"], said[b"retry-after-ms"]) == (whole, milliseconds)
    assert b"x-should-retry" not in said


def test_long_waits_end_the_clients_own_retries() -> None:
    assert headers(Throttled("Slow down.", retry_after=60.5))[b"x-should-retry"] == b"false"
    assert headers(QuotaExhausted("Nothing left."))[b"x-should-retry"] == b"false"


def test_what_we_would_not_ask_again_a_client_should_not_either() -> None:
    assert headers(AnswerTimeout("It took too long."))[b"x-should-retry"] == b"false"
    assert b"x-should-retry" not in headers(Unreachable("No connection."))
    assert b"x-should-retry" not in headers(unexpected("abc"))


def test_nothing_to_lend_says_when_to_come_back() -> None:
    assert headers(NothingToLend("All rest.", retry_after=12.3))[b"retry-after"] == b"13"


def test_a_message_with_broken_unicode_is_told_all_the_same() -> None:
    check_error(json.loads(told(BadRequest("half \ud83d")).body))

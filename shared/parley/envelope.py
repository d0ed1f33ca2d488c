"""A Failure as the caller sees it: status, headers, and OpenAI's envelope (`upstreams/openai.md` sections 1 and 3).

The clients' own retries are steered here: `retry-after` says when, and `x-should-retry: false` stands beside every wait
above a minute, because one official client would sleep that long in silence and another would hammer.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import msgspec

from parley.errors import Failure

Headers = list[tuple[bytes, bytes]]

JSON: Final = (b"content-type", b"application/json")
_LONGEST_WAIT: Final = 60
_COME_BACK: Final = frozenset({429, 503})
"""Statuses that mean `not now`, and therefore always say when."""


class Told(NamedTuple):
    """A whole response."""

    status: int
    headers: Headers
    body: bytes


def told(failure: Failure) -> Told:
    """The response that a failure makes when nothing has been sent yet."""
    body = envelope(failure)
    headers = [JSON, (b"content-length", str(len(body)).encode())]
    wait = _wait(failure)
    if wait is not None:
        seconds = max(1, math.ceil(wait))
        headers += [(b"retry-after", b"%d" % seconds), (b"retry-after-ms", b"%d" % max(1, math.ceil(wait * 1000)))]
        if seconds > _LONGEST_WAIT:
            headers.append((b"x-should-retry", b"false"))
    elif failure.status >= 500 and failure.blames == "upstream" and not failure.try_next:
        headers.append((b"x-should-retry", b"false"))  # what we would not ask again, a client should not either
    if failure.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return Told(failure.status, headers, body)


def envelope(failure: Failure) -> bytes:
    """`{"error": {...}}`, all four members always there, and details where a failure has some."""
    message = failure.message.encode("utf-8", "replace").decode()
    error = {"message": message, "type": failure.type, "param": failure.param, "code": failure.code, **failure.details}
    return msgspec.json.encode({"error": error})


def unexpected(request_id: str) -> Failure:
    """What a caller is told about a bug of ours; the log knows more under the same id."""
    return Failure(f"The server had an error while processing your request. Its request id is {request_id}.")


def _wait(failure: Failure) -> float | None:
    if failure.retry_after is not None:
        return failure.retry_after
    return (failure.rest or 1.0) if failure.status in _COME_BACK else None

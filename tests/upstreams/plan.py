"""What goes wrong with one request: the faults that every stand-in plays alike.

A stand-in's own `faults.py` says which of them it has, and adds what only it can do:

    class Plan(plan.Plan):
        pages = PAGES                 whole answers, in the place of the right one
        deliveries = deliveries()     how an answer's bytes travel
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import msgspec

from .delivery import FOREVER, Delivery
from .stage import Fault

Params = dict[str, Any]


class Page(msgspec.Struct):
    """A whole answer, in the place of the right one. An empty content type is not declared."""

    status: int
    content_type: str
    body: bytes | str = b""
    headers: Mapping[str, str] = {}

    @property
    def head(self) -> dict[str, str]:
        """Its headers, the content type among them."""
        return {**self.headers, **({"Content-Type": self.content_type} if self.content_type else {})}

    @property
    def content(self) -> bytes:
        """Its body, as it travels."""
        return self.body.encode() if isinstance(self.body, str) else self.body

    def changed(self, params: Params) -> Page:
        """The same, but for what `params` say: `status`, `text`, `headers`, `retry_after`, `location`."""
        headers = {**self.headers, **params.get("headers", {})}
        headers |= {
            name: str(params[param])
            for param, name in (("retry_after", "Retry-After"), ("location", "Location"))
            if param in params
        }
        return Page(params.get("status", self.status), self.content_type, params.get("text", self.body), headers)


def raw(params: Params) -> Page:
    """The fault `raw`: whatever the test says (`text` or `hex`, `status`, `content_type`, `headers`)."""
    kind = params.get("content_type", "text/event-stream")
    return Page(params.get("status", 200), kind, raw_bytes(params), params.get("headers", {}))


def raw_bytes(params: Params) -> bytes:
    """The bytes that a test wants to be said: `hex`, else `text`."""
    return bytes.fromhex(params["hex"]) if "hex" in params else str(params.get("text", "")).encode()


def hints(params: Params) -> dict[str, str]:
    """Headers by which a refusal tells SDKs whether and when to come back, and what else a test wants in its head."""
    headers = dict(params.get("headers", {}))
    for param, name in (("retry_after", "retry-after"), ("retry_after_ms", "retry-after-ms")):
        if param in params:
            headers[name] = str(params[param])
    if "should_retry" in params:
        headers["x-should-retry"] = "true" if params["should_retry"] else "false"
    return headers


Way = Callable[[Params], dict[str, Any]]


def deliveries(after: int = 200) -> dict[str, Way]:
    """Fields of a `Delivery` by fault. What breaks does so after `bytes`; `after` is for tests that do not say."""
    return {
        "bytewise": lambda p: {"piece": p.get("size", 1), "pause": p.get("pause", 0.0)},
        "reset": lambda p: {"reset_after": p.get("bytes", after)},
        "stall": lambda p: {"stall_after": p.get("bytes", after)},
        "cut": lambda p: {"cut_after": p.get("bytes", after)},
        "gzip": lambda _: {"gzip": True},
        "hang": lambda p: {"before_head": p.get("seconds", FOREVER)},
        "slow_first_byte": lambda p: {"after_head": p.get("seconds", 1.0)},
        "close_delimited": lambda _: {"framing": "close"},
        "fixed_length": lambda _: {"framing": "length"},
    }


class Plan(msgspec.Struct):
    """What goes wrong with one request; an empty plan is a healthy answer."""

    pages: ClassVar[Mapping[str, Callable[[Params], Page]]] = {}
    deliveries: ClassVar[Mapping[str, Way]] = deliveries()

    names: list[str] = []
    params: Params = {}

    @classmethod
    def of(cls, fault: Fault | None) -> Self:
        """A fault that was taken, and those that it says come with it (`also`), with the same params."""
        return cls() if fault is None else cls([fault.name, *fault.params.get("also", [])], fault.params)

    def has(self, name: str) -> bool:
        """Whether this goes wrong."""
        return name in self.names

    def page(self) -> Page | None:
        """What to answer instead, if this plan says so."""
        return next((self.pages[name](self.params) for name in self.names if name in self.pages), None)

    def delivery(self, framing: str = "chunked", *, wait: float = 0.0) -> Delivery:
        """How the bytes travel: `wait` seconds late, and framed so, unless a fault says otherwise."""
        facts: dict[str, Any] = {"framing": framing, "before_head": wait}
        for name in self.names:
            facts |= self.deliveries[name](self.params) if name in self.deliveries else {}
        return msgspec.convert(facts, Delivery)

"""Credential, Session, Lease: plain values that travel from the vault to a provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, unquote, urlsplit

from parley.catalog import Timeouts, Upstream
from parley.chat.events import Event
from parley.errors import Failure
from parley.sealed import Secret, without


@dataclass(frozen=True, slots=True)
class Place:
    """Where a credential is used and how: its own address, proxy and time-outs, or its upstream's."""

    base_url: str
    """Without a trailing slash."""
    proxy: str | None = field(repr=False)  # may hold a password
    timeouts: Timeouts


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret that opens an upstream, at one point of its life.

    `generation` grows with every renewal. `epoch` grows when a renewal made another account of it, and with that all
    its sessions are lost. `parts` are what the provider needs: `{"value": ...}`, or several named parts.
    """

    id: str
    alias: str
    parts: Mapping[str, Secret]
    generation: int = 1
    epoch: int = 1
    guest: bool = False
    proxy: Secret | None = None
    base_url: str | None = None
    timeouts: Mapping[str, float] = field(default_factory=dict)

    def place(self, upstream: Upstream) -> Place:
        """Where and how `upstream` is asked with this credential."""
        proxy = self.proxy or upstream.proxy
        return Place(
            (self.base_url or upstream.base_url).rstrip("/"),
            proxy.reveal() if proxy else None,
            replace(upstream.timeouts, **self.timeouts) if self.timeouts else upstream.timeouts,
        )

    def part(self, name: str = "value") -> str:
        """The named part in clear, for sending; empty when there is none."""
        secret = self.parts.get(name)
        return secret.reveal() if secret else ""

    def keep_out_of(self, failure: Failure, upstream: Upstream) -> None:
        """Take every secret of `upstream` out of a failure: it may have said one back to us, whole or in part."""
        plans = upstream.credentials
        known = [*self.parts.values(), *(part for plan in plans for part in plan.parts.values())]
        known += [proxy for proxy in (self.proxy, upstream.proxy, *(plan.proxy for plan in plans)) if proxy]
        addresses = [upstream.base_url, self.base_url, *(plan.base_url for plan in plans)]
        sent = [*_headers(upstream), *(text for address in addresses if address for text in _signing_in(address))]
        failure.keep_out(lambda text: without(text, [*(secret.reveal() for secret in known), *sent]))

    @contextmanager
    def unsaid(self, upstream: Upstream) -> Iterator[None]:
        """Whatever fails inside repeats no secret of `upstream`."""
        try:
            yield
        except Failure as failure:
            self.keep_out_of(failure, upstream)
            raise


def _headers(upstream: Upstream) -> Iterator[str]:
    """Headers of the operator's own: any of them may be one that signs in."""
    said = upstream.options.get("headers")
    yield from (value for value in said.values() if isinstance(value, str)) if isinstance(said, Mapping) else ()


def _signing_in(address: str) -> Iterator[str]:
    """What an address holds besides a place: a user with a password, a key in its query."""
    if "@" not in address and "?" not in address:
        return
    parts = urlsplit(address)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    yield from (unquote(text) for text in (password or user, *(value for _, value in parse_qsl(parts.query))) if text)


@dataclass(frozen=True, slots=True)
class Session:
    """Warm upstream state made from a credential; used by one answer, then closed."""

    id: str
    credential: str
    epoch: int


@dataclass(slots=True)
class Lease:
    """The right to use one credential (and perhaps a session of it) for one answer."""

    id: str
    upstream: Upstream
    credential: Credential
    session: Session | None = None
    model: str = ""
    """The upstream's name of the model that is asked with it; empty where it is no matter which."""
    probe: bool = False
    """This answer is the one that finds out whether a rested credential works again."""
    shared: bool = True
    """False when it was lent without Redis, from this process's own share."""
    active: float = 0.0
    """When the provider last saw the upstream alive though wordless, on the event loop's clock."""
    renewed: dict[str, Secret] | None = None
    """Set by a provider when the upstream rolled the secret under way (a Set-Cookie); kept if still the newest."""
    ear: Callable[[list[Event]], int] | None = None
    """Set by who reads the provider's events. So many of those that arrive while he waits he takes here, the first
    ones: they need not go through the generators between him and the transport (`parley.transports.hearing`)."""

    @property
    def place(self) -> Place:
        """Where and how to ask."""
        return self.credential.place(self.upstream)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a provider gives back when it renewed a credential."""

    parts: Mapping[str, Secret]
    same_account: bool = True
    """False: this is another account now, and the sessions of the old one are out of reach."""

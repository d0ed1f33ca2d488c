"""API keys as people write them in `parley.yaml`, and as the changes keep those that were issued: never the key itself.

keys:
  - {name: alice, key: "${ALICE_KEY}", models: ["gpt-4*"], limits: {requests_per_minute: 60}}
  - {name: build, hash: 9f86d081..., networks: [10.0.0.0/8], expires: 2027-01-01T00:00:00Z}
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, Field, IPvAnyNetwork, field_validator, model_validator

from parley.catalog import Caller
from parley.configuration.entries import STRICT, DefaultsEntry
from parley.configuration.limits import LimitsEntry
from parley.settings import ConfigurationError, is_placeholder

PREFIX_LETTERS: Final = 18
"""So much of a key may be shown: `sk-parley-` and eight letters."""
RESERVED: Final = frozenset({"master", "anybody", "other"})
"""Names that mean somebody else in usage and logs."""
_SHORTEST: Final = 16

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a key, in hexadecimal digits."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


def _text(network: object) -> object:
    if not isinstance(network, str):
        raise ValueError("must be a network, such as 10.0.0.0/8")  # noqa: TRY004  # pydantic hears ValueErrors
    return network


Network = Annotated[IPvAnyNetwork, BeforeValidator(_text)]
"""Written as text: a number would be an address, too, and nobody means it."""


def new_key() -> str:
    """A key that nobody can guess."""
    return f"sk-parley-{secrets.token_urlsafe(32)}"


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


class KeyFacts(BaseModel):
    """What an operator decides about a key."""

    model_config = STRICT

    owner: Annotated[str, Field(max_length=200)] = ""
    """Whose it is, for people."""
    notes: Annotated[str, Field(max_length=2000)] = ""
    """What else is to be known of it, for people."""
    models: list[Annotated[str, Field(min_length=1, max_length=200)]] = []
    """Patterns of the models and routes that it may ask for; none: all."""
    networks: list[Network] = []
    """Where it may call from; none: anywhere."""
    expires: datetime | None = None
    """When it ends (RFC 3339); without a zone it is UTC. None: never."""
    disabled: bool = False
    """Whether it is refused for the time being."""
    limits: LimitsEntry = LimitsEntry()
    """How much may be asked with it."""
    contents: bool = False
    """Whether what is said with it is logged."""
    defaults: DefaultsEntry = {}
    """Fields of its requests that are as here where a request does not say; before those of target, route, upstream."""

    @field_validator("expires")
    @classmethod
    def _zoned(cls, moment: datetime | None) -> datetime | None:
        return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment

    def caller(self, name: str, *, until: float | None = None, issued: bool) -> Caller:
        """Who calls with the key; `until` (seconds since the epoch) ends it earlier."""
        ends = [end for end in (until, self.expires.timestamp() if self.expires else None) if end is not None]
        return Caller(
            name,
            limits=self.limits.limits(),
            models=tuple(self.models),
            networks=tuple(self.networks),
            expires=min(ends, default=None),
            disabled=self.disabled,
            contents=self.contents,
            defaults=self.defaults,
            issued=issued,
        )


class KeyEntry(KeyFacts):
    """A key in `parley.yaml`: by itself, from the environment, or only its SHA-256."""

    name: Name
    """Who calls with it, in usage and logs; it never changes."""
    key: Annotated[str, Field(repr=False)] = ""
    """The key itself, 16 letters or more; better as `${NAME}` than in the file."""
    hash: Digest | None = None
    """In the place of `key`: its SHA-256, in hexadecimal digits."""

    @model_validator(mode="after")
    def _one_of_two(self) -> KeyEntry:
        if bool(self.key) == bool(self.hash):
            raise ValueError("needs either 'key' or 'hash'")
        if self.key and (is_placeholder(self.key) or len(self.key) < _SHORTEST):
            raise ValueError(f"'key' is a placeholder, or shorter than {_SHORTEST} letters")
        return self

    def callers(self) -> Iterator[tuple[bytes, Caller]]:
        """By the digest of the key."""
        yield bytes.fromhex(self.hash or digest(self.key)), self.caller(self.name, issued=False)


class Previous(BaseModel):
    """The key that was valid before, for a grace."""

    model_config = STRICT

    hash: Digest
    """Its SHA-256."""
    until: float
    """Seconds since the epoch."""


class IssuedKey(KeyFacts):
    """A key that was issued while Parley runs: what the changes keep of it."""

    prefix: Annotated[str, Field(max_length=PREFIX_LETTERS)]
    """How it begins, which may be shown."""
    hash: Digest
    """Its SHA-256."""
    previous: Previous | None = None
    """The key before it."""
    created: float
    """Seconds since the epoch."""
    rotated: float | None = None
    """Seconds since the epoch; None: never."""

    def callers(self, name: str) -> Iterator[tuple[bytes, Caller]]:
        """By the digests of the key, and of the one before it."""
        yield bytes.fromhex(self.hash), self.caller(name, issued=True)
        if self.previous is not None:
            yield bytes.fromhex(self.previous.hash), self.caller(name, until=self.previous.until, issued=True)


def refuse_reserved(name: str, where: str) -> None:
    """Raise ConfigurationError when a name means somebody else."""
    if name in RESERVED:
        raise ConfigurationError(f"{where}: '{name}' means somebody else in usage and logs; choose another name.")

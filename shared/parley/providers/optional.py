"""What a provider may do besides answering. Each ability is a protocol of one or two methods; the keeper and the relay
look for them with isinstance, and a provider that lacks one simply does not have the method."""

from __future__ import annotations

from functools import cache
from typing import Literal, Protocol, runtime_checkable

from parley.leases import Credential, Lease, Renewal, Session


@runtime_checkable
class OpensSessions(Protocol):
    """Answers need a session made beforehand, which is used once."""

    async def open_session(self, credential: Credential) -> Session:
        """Make a session upstream. Raises Failure."""
        ...

    async def close_sessions(self, credential: Credential, ids: list[str]) -> None:
        """Delete sessions upstream; an id that is unknown there counts as deleted. Raises Failure."""
        ...


@runtime_checkable
class FindsOrphans(Protocol):
    """Can list the sessions that a credential has upstream, so that ones nobody remembers are deleted."""

    async def list_sessions(self, credential: Credential) -> list[str]:
        """Ids of all sessions of this credential. Raises Failure."""
        ...


@runtime_checkable
class MarksSessions(FindsOrphans, Protocol):
    """Marks the sessions that it makes, so that ours are told from a person's own in the same account."""

    def bears_our_mark(self, credential: Credential, session: str) -> bool:
        """Whether a listed session was made here, with this credential."""
        ...


@runtime_checkable
class RenewsCredential(Protocol):
    """Can renew an expired sign-in, or sign in as a guest where the credential is a guest's empty place."""

    async def renew(self, credential: Credential) -> Renewal:
        """Return new parts. Raises Failure when the upstream does not give any."""
        ...


@runtime_checkable
class ProbesCredential(Protocol):
    """Can find out, without a cost, whether a credential works."""

    async def probe(self, credential: Credential) -> None:
        """Return when it works. Raises Failure (a CredentialFailure when the credential is at fault)."""
        ...


@runtime_checkable
class ListsModels(Protocol):
    """Can ask the upstream which models it has."""

    async def models(self, lease: Lease) -> list[str]:
        """Model ids, in the upstream's order. Raises Failure."""
        ...


@runtime_checkable
class ImageAddresses(Protocol):
    """Has images, and its service fetches none that is only named by its address: which then is `refused` by name, or
    `fetched` here. Where a provider does not say, addresses are the service's to fetch."""

    image_addresses: Literal["refused", "fetched"]


@cache
def opener(provider: object) -> OpensSessions | None:
    """The provider, if its answers need a session. Looked up once per provider: such a check is slow."""
    return provider if isinstance(provider, OpensSessions) else None


@cache
def renewer(provider: object) -> RenewsCredential | None:
    """The provider, if it renews credentials. Looked up once per provider, too."""
    return provider if isinstance(provider, RenewsCredential) else None

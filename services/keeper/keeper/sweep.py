"""Deletes upstream what nobody needs any more: used sessions, retired ones, and those that nobody remembers."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from parley.catalog import Upstream
from parley.errors import Challenged, CredentialExpired, CredentialRejected, Failure, NothingToLend
from parley.leases import Session
from parley.providers import Provider
from parley.providers.optional import FindsOrphans, MarksSessions, OpensSessions, RenewsCredential

if TYPE_CHECKING:
    from keeper.app import Tools

_suspects: Final[dict[tuple[str, str], set[str]]] = {}
"""Sessions that were listed and not known at the last look, by upstream and credential: perhaps just being opened."""


async def close_doomed(tools: Tools, upstream: Upstream, provider: Provider) -> None:
    """Close what is due. What cannot be closed now comes up again; what is out of reach for ever is let go.

    A door that was shut in our face is not knocked at for this either: a refused credential is shown again by the
    probe alone, and where a page asked for a human nobody comes until the rest is over.
    """
    if not isinstance(provider, OpensSessions):
        return
    by_credential: dict[str, list[Session]] = defaultdict(list)
    for session in await tools.pool.due(upstream):
        by_credential[session.credential].append(session)
    if not by_credential:
        return
    standing = await tools.vault.snapshot(upstream)
    if standing.rests and standing.reason == Challenged.code:
        return
    refused = {row.id for row in standing.credentials if row.rests and row.reason == CredentialRejected.code}
    for identity, sessions in by_credential.items():
        if identity in refused:
            continue
        try:
            credential = await tools.vault.credential(upstream, identity)
        except NothingToLend:  # the credential left the configuration more than a day ago
            await tools.pool.done(upstream, sessions)
            continue
        lost = [session for session in sessions if session.epoch != credential.epoch]
        await tools.pool.done(upstream, lost)  # they belonged to an account that this credential no longer is
        mine = [session for session in sessions if session.epoch == credential.epoch]
        if not mine:
            continue
        try:
            with credential.unsaid(upstream):
                await provider.close_sessions(credential, [session.id for session in mine])
        except CredentialExpired:
            if isinstance(provider, RenewsCredential):
                await tools.vault.renew(upstream, identity, provider.renew, generation=credential.generation)
            continue
        await tools.pool.done(upstream, mine)


async def close_orphans(tools: Tools, upstream: Upstream, provider: Provider) -> None:
    """Close sessions of ours that nobody remembers, if they were unknown at the last look already.

    All of a guest's are ours. An operator's own account has chats of a person in it, which are none of our business:
    there only those count that bear our mark.
    """
    if not isinstance(provider, OpensSessions) or not isinstance(provider, FindsOrphans):
        return
    marking = provider if isinstance(provider, MarksSessions) else None
    for row in (await tools.vault.snapshot(upstream)).credentials:
        if not (row.guest or marking) or row.state != "ok" or row.rests:
            continue
        credential = await tools.vault.credential(upstream, row.id)
        try:
            with credential.unsaid(upstream):
                listed = set(await provider.list_sessions(credential))
        except Failure as failure:
            tools.vault.report(upstream, credential, failure)
            raise
        if marking:
            listed = {session for session in listed if marking.bears_our_mark(credential, session)}
        unknown = listed - await tools.pool.known(upstream, row.id)
        orphans = unknown & _suspects.get((upstream.name, row.id), set())
        _suspects[upstream.name, row.id] = unknown - orphans
        if orphans:
            with credential.unsaid(upstream):
                await provider.close_sessions(credential, sorted(orphans))

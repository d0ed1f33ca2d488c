"""Looks after credentials that were refused, by requests that nobody is billed for: one prober for the whole fleet.

A credential that an upstream refused rests, at last for an hour; a probe that finds it well ends that. Rests for limits
are left alone: their end is known, and the first real request after it is the probe.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from parley.catalog import Upstream
from parley.errors import CredentialRejected, Failure
from parley.providers import Provider
from parley.providers.optional import ProbesCredential

if TYPE_CHECKING:
    from keeper.app import Tools

_REFUSED: Final = str(CredentialRejected.code)

log = logging.getLogger(__name__)


async def once(tools: Tools, upstream: Upstream, provider: Provider) -> None:
    """Probe every credential that rests because it was refused, and every one that was never used."""
    if not isinstance(provider, ProbesCredential):
        return
    for row in (await tools.vault.snapshot(upstream)).credentials:
        refused = row.rests > 0 and row.reason == _REFUSED
        unproven = row.state == "ok" and not row.rests and row.last_ok is None and row.last_failed is None
        if not refused and not unproven:
            continue
        credential = await tools.vault.credential(upstream, row.id)
        try:
            with credential.unsaid(upstream):
                await provider.probe(credential)
        except Failure as failure:
            if failure.blames == "credential":
                log.warning("%s: credential '%s' does not work: %s", upstream.name, row.alias, failure.message)
                tools.vault.report(upstream, credential, failure)
        else:
            tools.vault.found_well(upstream, credential, _REFUSED)

"""Verdict: what the end of a lease says about its credential and its upstream, in the words of the scripts."""

from __future__ import annotations

from typing import Final, NamedTuple

from parley.errors import CredentialRejected, Failure, QuotaExhausted, Throttled
from parley.leases import Credential
from parley.state.terms import ms

LIMITS: Final = frozenset({Throttled.code, QuotaExhausted.code})
"""Reasons to rest which mean that a limit is reached: for the caller a 429, not a 503."""


class Verdict(NamedTuple):
    """The arguments that `_learn.lua` takes, in its order; durations in milliseconds."""

    outcome: str
    blame: str
    base: int
    longest: int
    hint: int
    patience: int
    reason: str


OK: Final = Verdict("ok", "nobody", 0, 0, 0, 1, "")
ABORTED: Final = Verdict("aborted", "nobody", 0, 0, 0, 1, "")
UNUSED: Final = Verdict("unused", "nobody", 0, 0, 0, 1, "")
"""Nothing was asked with it: it does not count for pacing."""


def verdict(failure: Failure, credential: Credential, *, renewable: bool, model: str = "") -> Verdict:
    """Who is blamed for a failure, and how long they rest. `model`: the one that was asked, if one was."""
    blame: str
    blame, base, longest = failure.blames, failure.rest, failure.longest_rest
    if blame == "credential" and not base and not renewable:
        # Its sign-in ran out and nobody can renew it: it may be mended by hand, and is tried again now and then.
        base, longest = CredentialRejected.rest, CredentialRejected.longest_rest
    if blame == "upstream" and base and (credential.proxy or credential.base_url):
        blame = "credential"  # it goes its own way, which says nothing about that of the others
    if blame == "credential" and failure.of_model and model:
        blame = "model"
    hint = failure.retry_after or 0.0
    return Verdict(
        "failed",
        blame if blame in ("credential", "model", "upstream") else "nobody",
        ms(base),
        ms(longest),
        ms(min(hint, longest)) if hint > 0 else 0,  # not a number is no hint
        failure.patience,
        failure.reason,
    )

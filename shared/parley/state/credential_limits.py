"""The limits of each credential of an upstream, as `lua/_within.lua` reads them in the call that lends one.

A credential's scope is `credential:UPSTREAM/ALIAS`. Most upstreams have the same limits for each of theirs, so these
are said once, under the name without an alias, and then only what differs.
"""

from __future__ import annotations

from collections.abc import Sequence

from parley.catalog import UNLIMITED, Upstream
from parley.leases import Credential
from parley.state.admission import Admission
from parley.state.scopes import Amounts, Scope, effective
from parley.state.wire import Argument


class CredentialLimits:
    """What may be asked with each credential of an upstream. Made once per revision of it."""

    __slots__ = ("_each", "_own", "_prefix", "told", "upstream")

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._prefix = f"credential:{upstream.name}/"
        self._each = effective(upstream.limits)
        self._own = {plan.alias: effective(plan.limits) for plan in upstream.credentials if plan.limits is not None}
        every: list[Scope] = [(self._prefix, self._each or UNLIMITED)]
        every += [(self._prefix + alias, own or UNLIMITED) for alias, own in self._own.items()]
        self.told: Sequence[Scope] = every if any(limits != UNLIMITED for _, limits in every) else ()
        """What the script is told; nothing where none has limits."""

    def of(self, alias: str) -> Sequence[Scope]:
        """The scope of a credential; none where it has no limits."""
        limits = self._own.get(alias, self._each)
        return [(self._prefix + alias, limits)] if limits else ()


class Reservation:
    """What is to be reserved with whichever credential is lent. It does nothing where none has limits.

    Raises ValueError where some have, and nobody keeps them.
    """

    __slots__ = ("_admission", "_amounts", "_limits")

    def __init__(self, admission: Admission | None, limits: CredentialLimits, amounts: Amounts) -> None:
        if limits.told and admission is None:
            raise ValueError(f"credentials of '{limits.upstream.name}' have limits, and this vault has no admission")
        self._admission = admission if limits.told else None
        self._limits = limits
        self._amounts = amounts

    @property
    def size(self) -> str:
        """The end of the lease's name, by which those behind it in the queue know how much room it waits for."""
        return f"/{self._amounts.tokens}/{self._amounts.cost}" if self._admission else ""

    def told(self, lease: str) -> Sequence[Argument]:
        """What `lease_take` is told."""
        return self._admission.asking(lease, self._limits.told, self._amounts) if self._admission else ()

    def lent(self, lease: str, alias: str, full: Sequence[int]) -> None:
        """Redis lent it, and replied how full the limits of the credential with that alias are now."""
        if self._admission:
            self._admission.lent(lease, self._limits.of(alias), self._amounts, full)

    def by_share(self, lease: str, credential: Credential) -> None:
        """Count it while Redis is away. Raises OverLimit or StateUnavailable."""
        if self._admission and (scopes := self._limits.of(credential.alias)):
            self._admission.lent_by_share(lease, scopes, self._amounts)

    def never_used(self, lease: str) -> None:
        """Redis may have lent it, or may still do so; nothing was asked with it."""
        if self._admission:
            self._admission.never_used(lease)

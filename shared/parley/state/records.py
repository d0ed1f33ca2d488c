"""What Redis keeps of a credential, sealed; and what a process makes of it.

A record's secret parts change with every renewal; its route (proxy, base URL, time-outs) is the configuration's. Each
is sealed for its own record, so that no record can pose as another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from parley.catalog import CredentialPlan, Upstream
from parley.leases import Credential
from parley.sealed import Seal, Secret, UnsealError

FIELDS: Final = ("alias", "guest", "sealed", "route", "generation", "epoch")
"""The fields of a record that make a Credential, in the order that `Records.opened` takes them."""

_OPEN_DOOR: Final = CredentialPlan("open", {})
"""What an upstream without credentials lends: nothing is needed there, but rests and limits apply as anywhere."""

_SEAL_CHECK: Final = "the data of this Redis"


Unsigned = Callable[[Upstream, CredentialPlan], bool]
"""Whether a credential as it is configured opens nothing before it was renewed a first time."""


def signed_in(_: Upstream, __: CredentialPlan) -> bool:
    """None needs that."""
    return False


class _Way(msgspec.Struct, omit_defaults=True):
    proxy: str | None = None
    base_url: str | None = None
    timeouts: dict[str, float] = {}


class LostKey(UnsealError):
    """Redis holds what was sealed with another key; the text says what to do."""

    def __init__(self) -> None:
        super().__init__(
            "Redis holds credentials that were sealed with another PARLEY_SECRET. Start with the PARLEY_SECRET (or the "
            "state folder with its file 'secret') that they were made with; or, if that is lost, empty this Redis "
            "database (FLUSHDB): configured credentials are enrolled again, guests and renewed sign-ins are lost."
        )


def plans(upstream: Upstream) -> Sequence[CredentialPlan]:
    """What there is to lend: the credentials that are not disabled, or an open door where none is needed."""
    return tuple(plan for plan in upstream.credentials or (_OPEN_DOOR,) if not plan.disabled)


class Records:
    """Names, seals and opens the records of credentials."""

    def __init__(self, seal: Seal, unsigned: Unsigned = signed_in) -> None:
        self._seal = seal
        self._unsigned = unsigned

    def name(self, upstream: Upstream, plan: CredentialPlan) -> str:
        """The id of a credential: the same wherever the same secret is configured for the same place."""
        facts = [plan.alias, "guest"] if plan.guest else []
        for part in sorted(plan.parts):
            facts += [part, plan.parts[part].reveal()]
        return self._seal.name(upstream.name, plan.base_url or upstream.base_url, *facts)

    def enrollment(self, upstream: Upstream) -> list[str | int]:
        """The arguments of the script `enroll`."""
        said: list[str | int] = []
        for identity, plan in {self.name(upstream, plan): plan for plan in plans(upstream)}.items():
            parts = "" if plan.guest else self.sealed_parts(upstream.name, identity, plan.parts)
            state = "new" if plan.guest else "expired" if self._unsigned(upstream, plan) else "ok"
            said += [
                identity,
                plan.alias,
                int(plan.guest),
                parts,
                self._sealed_route(upstream.name, identity, plan),
                state,
            ]
        return said

    def configured(self, upstream: Upstream) -> dict[str, Credential]:
        """The credentials as they are configured, for a process that never reached Redis; guests are not known then."""
        return {
            identity: Credential(
                identity, plan.alias, plan.parts, proxy=plan.proxy, base_url=plan.base_url, timeouts=plan.timeouts
            )
            for plan in plans(upstream)
            if not plan.guest and (identity := self.name(upstream, plan))
        }

    def sealed_parts(self, upstream: str, identity: str, parts: Mapping[str, Secret]) -> str:
        """Secret parts, sealed for this record."""
        text = msgspec.json.encode({name: secret.reveal() for name, secret in parts.items()}).decode()
        return self._seal.seal(text, f"{upstream}/{identity}/parts")

    def opened(self, upstream: str, identity: str, fields: Sequence[bytes | None]) -> Credential | None:
        """The credential of a record read from Redis; None when there is none. Raises LostKey."""
        alias, guest, parts, route, generation, epoch = ((field or b"").decode() for field in fields)
        if not generation:
            return None
        try:
            secrets = self._seal.open(parts, f"{upstream}/{identity}/parts") if parts else "{}"
            ways = self._seal.open(route, f"{upstream}/{identity}/route") if route else "{}"
        except UnsealError:
            raise LostKey from None
        way = msgspec.json.decode(ways, type=_Way)
        return Credential(
            identity,
            alias,
            {name: Secret(text) for name, text in msgspec.json.decode(secrets, type=dict[str, str]).items()},
            int(generation),
            int(epoch),
            guest == "1",
            Secret(way.proxy) if way.proxy else None,
            way.base_url,
            way.timeouts,
        )

    def check(self) -> str:
        """A text that only this key can have sealed."""
        return self._seal.seal(_SEAL_CHECK, "parley:seal")

    def passes(self, check: str) -> bool:
        """Whether a check was sealed with this key."""
        try:
            return self._seal.open(check, "parley:seal") == _SEAL_CHECK
        except UnsealError:
            return False

    def _sealed_route(self, upstream: str, identity: str, plan: CredentialPlan) -> str:
        way = _Way(plan.proxy.reveal() if plan.proxy else None, plan.base_url, dict(plan.timeouts))
        if way == _Way():
            return ""
        return self._seal.seal(msgspec.json.encode(way).decode(), f"{upstream}/{identity}/route")

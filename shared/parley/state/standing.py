"""Standing: how an upstream and its credentials stand, at one moment of Redis' clock. What `snapshot.lua` replies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from parley.clock import monotonic, now

State = Literal["ok", "new", "expired"]


class ModelRest(NamedTuple):
    """A credential rests for one model, and is lent for its others."""

    model: str
    rests: float
    """Seconds until that is over; 0 where a lease is to find out whether it is."""
    reason: str


@dataclass(frozen=True, slots=True)
class CredentialStanding:
    """One credential. Durations are seconds from the moment of the snapshot; 0 means not, or not any more."""

    id: str
    alias: str
    guest: bool
    state: State
    generation: int
    epoch: int
    rests: float
    """Seconds until its rest is over; 0 also for one that is half-open."""
    half_open: bool
    """Its rest is over, and one lease is to find out whether it works again."""
    reason: str
    strikes: int
    renewing: float
    """Seconds that somebody may still renew it alone."""
    held: int
    paced: int
    """Leases of the last window."""
    ready: int
    """Warm sessions."""
    served: int
    last_ok: float | None
    """Seconds since the epoch, by this process's clock; so are the other `last_`."""
    failed: int
    last_failed: float | None
    last_failure: str
    models: tuple[ModelRest, ...] = ()
    """Its rests for single models, by their names."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One upstream."""

    seen: float
    """When it was seen, on this process's monotonic clock."""
    waiting: int
    doomed: int
    taken: int
    returned: int
    expired: int
    late: int
    rests: float
    half_open: bool
    reason: str
    credentials: tuple[CredentialStanding, ...]

    @property
    def held(self) -> int:
        """Leases that are out."""
        return sum(credential.held for credential in self.credentials)


def idle(identity: str, alias: str, *, guest: bool = False) -> CredentialStanding:
    """How a credential stands that nobody has used, or may use."""
    return CredentialStanding(identity, alias, guest, "ok", 0, 0, 0.0, False, "", 0, 0.0, 0, 0, 0, 0, None, 0, None, "")


def read_standing(reply: Sequence[Sequence[Any]]) -> Standing:
    """Make a Standing of the script's reply."""
    head, *rows = reply
    moment = int(head[0])
    rest_over = int(head[7] or 0)
    waiting, doomed, taken, returned, expired, late = (int(count or 0) for count in head[1:7])
    return Standing(
        seen=monotonic(),
        waiting=waiting,
        doomed=doomed,
        taken=taken,
        returned=returned,
        expired=expired,
        late=late,
        rests=_left(rest_over, moment),
        half_open=0 < rest_over <= moment,
        reason=_text(head[8]),
        credentials=tuple(_credential(row, moment) for row in rows),
    )


def _credential(row: Sequence[Any], moment: int) -> CredentialStanding:
    over = int(row[6] or 0)
    state: Any = _text(row[3])
    return CredentialStanding(
        id=_text(row[0]),
        alias=_text(row[1]),
        guest=row[2] == b"1",
        state=state,
        generation=int(row[4] or 0),
        epoch=int(row[5] or 0),
        rests=_left(over, moment),
        half_open=0 < over <= moment,
        reason=_text(row[7]),
        strikes=int(row[8] or 0),
        renewing=_left(int(row[9] or 0), moment),
        held=int(row[10]),
        paced=int(row[11]),
        ready=int(row[12]),
        served=int(row[13] or 0),
        last_ok=_when(row[14], moment),
        failed=int(row[15] or 0),
        last_failed=_when(row[16], moment),
        last_failure=_text(row[17]),
        models=tuple(_model_rests(row[18], moment)),
    )


def _model_rests(told: Sequence[bytes], moment: int) -> Iterator[ModelRest]:
    fields = {name.decode(): value for name, value in zip(told[::2], told[1::2], strict=True)}
    for model in sorted(name.removeprefix("until:") for name in fields if name.startswith("until:")):
        yield ModelRest(model, _left(int(fields[f"until:{model}"]), moment), _text(fields.get(f"reason:{model}")))


def _text(value: bytes | None) -> str:
    return value.decode() if value else ""


def _left(over: int, moment: int) -> float:
    return max(over - moment, 0) / 1000


def _when(stamp: bytes | None, moment: int) -> float | None:
    return now() - (moment - int(stamp)) / 1000 if stamp else None

"""The terms of lending: every duration that the vault keeps to, in seconds. Tests pass shorter ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things last."""

    lease: float = 15.0
    """A lease lives so long unless it is renewed."""
    renew_every: float = 5.0
    """A process renews all its leases so often. Also how long the session of a lease that ran out is spared."""
    window: float = 60.0
    """What `per_minute` means by a minute: any sliding one."""
    ticket: float = 3.0
    """A place in the queue is forgotten when its owner was not heard of for so long."""
    renewal: float = 30.0
    """Longest time that one process alone may try to renew a credential."""
    renewal_rest: float = 2.0
    """A credential rests at least so long after a renewal that failed, doubling each time ..."""
    longest_renewal_rest: float = 300.0
    """... up to this."""
    heartbeat: float = 1.0
    """Pause between two signs of life of a process, and between two looks at the whole."""
    silence: float = 3.5
    """A process that was not heard of for so long counts as gone."""

    @classmethod
    def with_leases_of(cls, seconds: float) -> Terms:
        """The terms where a lease lives so long; every process of a fleet must have the same."""
        return cls(lease=seconds, renew_every=seconds / 3)


def ms(seconds: float) -> int:
    """Whole milliseconds, as Redis compares them."""
    return round(seconds * 1000)

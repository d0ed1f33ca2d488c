"""Every key that Redis remembers, on one page.

An upstream's keys share the prefix `parley:{NAME}:` (the braces keep them on one node of a cluster); inside it a key is
a name, or a name and a credential's id. Moments are milliseconds on Redis' own clock. A lifetime of None means that the
key stays as long as it is configured; every other key goes away by itself, even if all of us are killed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Key:
    """One kind of key. `each` is True where there is one per credential, or per upstream for a global one."""

    name: str
    type: Literal["string", "hash", "zset", "list", "stream"]
    lifetime: str | None
    owner: str
    holds: str
    each: bool = False


OF_AN_UPSTREAM: Final = (
    Key("ring", "zset", None, "vault", "credential id -> number of the take that it was last lent for"),
    Key(
        "cred",
        "hash",
        None,  # a day, once the configuration has dropped it
        "vault",
        "alias, place, guest, sealed, route; generation, epoch, state ok|new|expired; until, reason, strikes, probe; "
        "fence, renew_until; served, last_ok, failed, last_failure, last_failed; models, where it may rest for some",
        each=True,
    ),
    Key(
        "models",
        "hash",
        "an hour after its last rest",
        "vault",
        "until:MODEL, reason:MODEL, strikes:MODEL, probe:MODEL of rests for one model alone",
        each=True,
    ),
    Key("held", "zset", "a day", "vault", "lease -> deadline", each=True),
    Key("pace", "zset", "the window", "vault", "lease -> moment it was lent, for any sliding window", each=True),
    Key("queue", "zset", "two minutes", "turns", "ticket (the lease to be, /TOKENS/COST) -> order of arrival"),
    Key("alive", "zset", "two minutes", "turns", "ticket -> moment it is forgotten unless it asks again"),
    Key("ready", "zset", "a day", "pool", "EPOCH:SESSION -> moment it was opened", each=True),
    Key("lent", "hash", "a day", "pool", "lease -> CREDENTIAL:EPOCH:SESSION in use by it"),
    Key("doomed", "zset", "a day", "pool", "CREDENTIAL:EPOCH:SESSION to be closed upstream -> not before"),
    Key(
        "rest", "hash", "an hour after it ends", "vault", "until, reason, strikes, misses, probe of the upstream itself"
    ),
    Key("counts", "hash", None, "vault", "taken, returned, expired, late: taken = returned + expired + held"),
)

OF_THE_FLEET: Final = (
    Key("parley:rotation", "string", "a day", "rotation", "how many turns a route has given", each=True),
    Key("parley:retries", "hash", "three minutes", "retries", "tokens of the budget for retries, at the moment `at`"),
    Key("parley:processes", "zset", "a minute", "fleet", "process -> moment it was last heard of"),
    Key("parley:baton", "string", "its holder's patience", "baton", "the process that runs the control loops"),
    Key("parley:models", "string", "a week", "model_lists", "JSON: model ids and when they were asked for", each=True),
    Key("parley:seal", "string", None, "vault", "a known text under our seal: opens only with the key of this data"),
    Key("parley:audit", "stream", None, "audit", "JSON of each change that an operator made, the newest ten thousand"),
    Key("parley:requests", "stream", "an hour", "recent", "JSON of each request that ended, the newest ten thousand"),
    Key("parley:{config}:now", "hash", None, "revisions", "revision, changes (sealed): what is in force"),
    Key("parley:{config}:past", "hash", None, "revisions", "revision -> changes (sealed), the newest ones"),
    Key("parley:{config}:log", "hash", None, "revisions", "revision -> JSON: number, at, who, what, the newest ones"),
)

CONFIG: Final = "parley:{config}:"
"""What the keys of the configuration start with."""
OF_LIMITS: Final = (
    Key("minute", "zset", "a minute", "admission", "MOMENT:REQUESTS:TOKENS -> moment; the sums below zero", each=True),
    Key("day", "zset", "a day", "admission", "the same, of a day", each=True),
    Key("held", "zset", "a lease", "admission", "request -> deadline of its place", each=True),
    Key("spent", "hash", "its longest period", "admission", "UNIT:PERIOD -> NUMBER OF THE PERIOD:AMOUNT", each=True),
    Key("total", "hash", None, "admission", "UNIT -> AMOUNT, until the scope is forgotten", each=True),
    Key("open", "string", "an hour", "admission", "request or lease -> what was counted; empty: it is over", each=True),
    Key("changed", "zset", "a day", "admission", "scope -> microsecond of its latest change"),
    Key("guesses", "zset", "a minute", "guesses", "as minute, of a client's address", each=True),
)
"""Of what callers may still use. `each` is per scope (a key, a model: whatever has limits), request or address."""

LIMITS: Final = "parley:limits:{all}:"
"""What those start with: a request is admitted to all of its scopes at once, so that they are on one node."""
RETRIES: Final = "parley:retries"
OF_USAGE: Final = (
    Key("inbox", "list", None, "meter", "what was told and is not folded yet: process, number, moment, sums"),
    Key("told", "string", "a day", "meter", "number of the last entry of this process that was folded", each=True),
    Key("minute", "list", "a day after its last point", "meter", "points, oldest first, of a subject", each=True),
    Key("hour", "list", "31 days after its last point", "meter", "the same by the hour", each=True),
    Key("day", "list", "a year after its last point", "meter", "the same by the day", each=True),
    Key("placed", "zset", None, "meter", "name with a series of its own -> weight; of a kind of subject", each=True),
    Key("waiting", "zset", None, "meter", "name without one -> weight", each=True),
)
"""What was used. `each`: per process, kind of subject, or subject: `KIND:NAME`; `KIND:` for all without a series."""

USAGE: Final = "parley:usage:{all}:"
"""What those start with: one script reads and writes all of them."""
PROCESSES: Final = "parley:processes"
BATON: Final = "parley:baton"
SEAL: Final = "parley:seal"
AUDIT: Final = "parley:audit"
REQUESTS: Final = "parley:requests"


def prefix(upstream: str) -> str:
    """What an upstream's keys start with."""
    return f"parley:{{{upstream}}}:"


def record(upstream: str, credential: str) -> str:
    """The key of a credential's record."""
    return f"{prefix(upstream)}cred:{credential}"


def rotation(route: str) -> str:
    """The key of a route's counter."""
    return f"parley:rotation:{route}"


def admission(request: str) -> str:
    """The key of an admitted request's record."""
    return f"{LIMITS}open:{request}"


def models(upstream: str) -> str:
    """The key of an upstream's model list."""
    return f"parley:models:{upstream}"

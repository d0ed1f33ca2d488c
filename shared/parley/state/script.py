"""Scripts: `lua/*.lua`, each a file that opens with what it does and replies.

A line `--#include NAME` brings in `lua/_NAME.lua`, once. A script is sent by its hash; a server that does not
know it (restarted, or its scripts flushed) gets the text instead (`Line` sees to that).
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import Final

_LUA: Final = files("parley.state") / "lua"
_INCLUDE: Final = re.compile(r"^--#include (\w+)$", re.MULTILINE)


class Script:
    """One script, by its file's name."""

    __slots__ = ("name", "sha", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text: bytes = _assembled(name)
        self.sha: bytes = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()


def _assembled(name: str) -> bytes:
    seen: set[str] = set()

    def included(match: re.Match[str]) -> str:
        fragment = match[1]
        if fragment in seen:
            return ""
        seen.add(fragment)
        return _INCLUDE.sub(included, (_LUA / f"_{fragment}.lua").read_text("utf-8"))

    return _INCLUDE.sub(included, (_LUA / f"{name}.lua").read_text("utf-8")).encode()


# Of the vault
TAKE: Final = Script("lease_take")
RETURN: Final = Script("lease_return")
WORKS: Final = Script("lease_works")
RENEW_LEASES: Final = Script("lease_renew")
LEAVE: Final = Script("leave")
ENROLL: Final = Script("enroll")
CLAIM_RENEWAL: Final = Script("renew_claim")
RENEWED: Final = Script("renewed")
RENEWAL_FAILED: Final = Script("renew_failed")
SNAPSHOT: Final = Script("snapshot")
ADOPT: Final = Script("adopt")
REPORT: Final = Script("report")
REST_BY_HAND: Final = Script("rest_by_hand")

# Of the pool
NOTE_SESSION: Final = Script("session_note")
ADD_SESSION: Final = Script("session_add")
DUE_SESSIONS: Final = Script("session_due")
DONE_SESSIONS: Final = Script("session_done")
STALE_SESSIONS: Final = Script("session_stale")
KNOWN_SESSIONS: Final = Script("session_known")

# Of the admission
ADMIT: Final = Script("admit")
READMIT: Final = Script("readmit")
SETTLE: Final = Script("settle")
KEEP: Final = Script("keep")
FULLNESS: Final = Script("fullness")
FORGET: Final = Script("forget")
GUESS: Final = Script("guess")

# Of routes
ROTATE: Final = Script("rotate")
RETRY: Final = Script("retry")

# Of the fleet
HEARTBEAT: Final = Script("heartbeat")
BATON: Final = Script("baton")
NOTE_REQUESTS: Final = Script("recent_note")

# Of the configuration
WRITE_CONFIG: Final = Script("config_write")

# Of the meter
FOLD_USAGE: Final = Script("usage_fold")

ALL: Final = tuple(value for value in dict(globals()).values() if isinstance(value, Script))

"""Who asks: a token and its device, kept together; or a guest, whose device is all there is of them."""

from __future__ import annotations

import hashlib
import secrets
import string
from dataclasses import dataclass, field
from typing import Final

from parley.dialects.flowgpt import Token, read_token
from parley.leases import Credential

_LETTERS: Final = string.ascii_letters + string.digits + "_-"
_DEVICE: Final = 21
_GUEST_DEVICE: Final = 19
_COOKIE: Final = "__Secure-next-auth.session-token"


@dataclass(frozen=True, slots=True)
class Account:
    """A credential as FlowGPT knows it."""

    token: Token
    device: str
    guest: bool
    waf_token: str = field(default="", repr=False)
    """What the operator's browser got from AWS' wall, if they copied it."""

    @property
    def authorization(self) -> str:
        """The value of the header Authorization; guests send one, too."""
        return "Bearer null" if self.guest else self.token.authorization


def account_of(credential: Credential) -> Account:
    """The account of a credential.

    Where no device was configured it is derived from the account: always the same one, in every process and for every
    token of that account; no two accounts share one, and none is ever changed to look like somebody new.
    """
    token = read_token(credential.part())
    device = credential.part("device_id") or _derived(token.owner or credential.id)
    return Account(token, device, credential.guest, credential.part("waf_token"))


def guest_device() -> str:
    """A device for a guest, as the site makes them."""
    return "f-" + "".join(secrets.choice(_LETTERS[:62]) for _ in range(_GUEST_DEVICE))


def cookie_of(credential: Credential) -> str:
    """The Cookie header of a login; empty when there is none. The value of the login cookie alone will do."""
    said = credential.part("cookie").strip()
    return f"{_COOKIE}={said}" if said and "=" not in said else said


def _derived(owner: str) -> str:
    digest = hashlib.sha256(f"parley flowgpt device\0{owner}".encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:_DEVICE])

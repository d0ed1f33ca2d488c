"""Fills in nginx.conf for this machine. In Docker the nginx image's own envsubst does the same to the same file."""

from __future__ import annotations

import re
import resource
from collections.abc import Mapping, Sequence
from importlib import resources

_BLANK = re.compile(r"\$\{([A-Z_]+)\}")
_NOBODY = "server 127.0.0.1:9 down;"  # nginx wants one to be named
_LIMITS = "max_fails=10 fail_timeout=1s"  # as in docker-compose.yml, which says why


def render(source: str, words: Mapping[str, str]) -> str:
    """`source` with each `${WORD}` filled in. nginx's own `$variables` stay."""
    return _BLANK.sub(lambda blank: words[blank[1]], source)


def source() -> str:
    """The text of nginx.conf."""
    return resources.files("command").joinpath("nginx.conf").read_text(encoding="utf-8")


def words(
    listen: str, gateways: Sequence[str], environment: Mapping[str, str], consoles: Sequence[str] = ()
) -> dict[str, str]:
    """What goes into the blanks when everybody has a fixed address and no name needs to be asked for."""
    return {
        "NGINX_LISTEN": listen,
        "NGINX_GATEWAYS": " ".join(f"server {address} {_LIMITS};" for address in gateways),
        "NGINX_CONSOLES": " ".join(f"server {address} max_fails=0;" for address in consoles) or _NOBODY,
        "NGINX_LOCAL_RESOLVERS": "127.0.0.1",
        "NGINX_WORKERS": environment.get("NGINX_WORKERS") or "2",
        "NGINX_NOFILE": str(_open_files()),
        "NGINX_READ_TIMEOUT": environment.get("NGINX_READ_TIMEOUT") or "1260s",
        "MAX_BODY_MB": environment.get("MAX_BODY_MB") or "20",
    }


def _open_files() -> int:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)

"""What the command itself reads: the environment over the `.env` of the working folder. Empty means unset.

The gateways and the keeper read the same two places by themselves; nothing is copied from `.env` into their
environment except what is decided here for all of them (Redis, the state folder, where the files are).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

KEY_NAMES = ("API_MASTER_KEY", "API_KEY")


def surroundings(folder: Path) -> dict[str, str]:
    """Every setting that has a value."""
    beside = dotenv_values(folder / ".env", interpolate=False)
    return {name: value for name, value in {**beside, **os.environ}.items() if value}


def front_door(settings: Mapping[str, str]) -> str:
    """The address of nginx: as PARLEY_URL says (docker-compose.yml does), else where `parley up` listens."""
    if url := settings.get("PARLEY_URL"):
        return url
    bind = settings.get("NGINX_BIND", "127.0.0.1").strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104  # the words for everywhere
    return "http://{}:{}".format(f"[{host}]" if ":" in host else host, settings.get("NGINX_PORT", "8088"))


def files(settings: Mapping[str, str]) -> dict[str, str]:
    """Where configuration files are, for a part that is not told: beside us, or in the folder that Compose mounts."""
    found = {}
    if "PARLEY_CONFIG" not in settings and (beside := Path("config/parley.yaml").resolve()).exists():
        found["PARLEY_CONFIG"] = str(beside)
    old = Path("config/model-config.json").resolve()
    if "PARLEY_MODEL_CONFIG" not in settings and not Path(old.name).exists() and old.exists():
        found["PARLEY_MODEL_CONFIG"] = str(old)
    return found


def key_to_paste(settings: Mapping[str, str]) -> str | None:
    """Shell words that stand for the key, for a curl line: where it is, never what it is. None: there is no key."""
    name = next((name for name in KEY_NAMES if settings.get(name)), None)
    if name is None or os.environ.get(name):
        return name and f"${name}"
    return f"$(sed -n 's/^{name}=//p' .env | tr -d \"\\\"'\")"

"""Which parts a stack on this machine has, and what each is told. Decides everything; starts nothing."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from command import front, ports, programs
from command.parts import CannotStart, Part
from command.surroundings import files, key_to_paste

_HERE = "127.0.0.1"
_SOCKET = re.compile(rb"[\w./+@-]{1,107}")
"""A path that Linux takes for a socket, and that means nothing else in nginx.conf."""


@dataclass(frozen=True)
class Wishes:
    """What the command line asked for."""

    gateways: int
    keepers: int
    consoles: int
    port: int | None
    state: Path | None
    restart: bool
    json: bool


@dataclass(frozen=True)
class Plan:
    """A stack that can be started: the parts of a row start together, when the row before is ready."""

    rows: tuple[tuple[Part, ...], ...]
    url: str
    port: int
    redis_url: str
    key: str | None
    """Shell words for the key that callers need; see `surroundings.key_to_paste`."""
    tokens: bool = False
    """Whether there is a `model-config.json`, whose tokens are keys."""
    admin: bool = False
    """Whether there is an admin API."""


def draw(settings: Mapping[str, str], wishes: Wishes, state: Path, lock: int) -> Plan:
    """Choose ports and programs, write nginx's configuration; CannotStart when something is in the way."""
    bind = settings.get("NGINX_BIND", _HERE).strip("[]")
    port = _port(settings.get("NGINX_PORT", "8088")) if wishes.port is None else wishes.port
    own_redis = "REDIS_URL" not in settings
    spare = ports.free(wishes.gateways + wishes.keepers + wishes.consoles + own_redis + (port == 0))
    port = port or spare.pop()
    ports.claim(bind, port)
    redis_port = spare.pop() if own_redis else 0
    pages = [spare.pop() for _ in range(wishes.keepers)]
    desks = [spare.pop() for _ in range(wishes.consoles)]
    redis_url = f"redis://{_HERE}:{redis_port}/0" if own_redis else settings["REDIS_URL"]
    grace = settings.get("GRACEFUL_SECONDS", "5")  # at a terminal people wait; under Compose streams may end
    told = {"REDIS_URL": redis_url, "PARLEY_STATE_DIR": str(state), "GRACEFUL_SECONDS": grace}
    told |= files(settings)
    tokens = Path({**settings, **told}.get("PARLEY_MODEL_CONFIG", "model-config.json")).is_file()
    patience = float(grace) + 8

    sockets = [_socket(state / f"gateway-{number}.sock") for number, _ in enumerate(spare, start=1)]
    behind = [
        Part(
            name=f"gateway-{number}",
            argv=(sys.executable, "-m", "gateway"),
            environment={**told, "GATEWAY_BIND": f"{_HERE}:{own}", "GATEWAY_SOCKET": socket},
            address=(_HERE, own),
            is_ready=partial(ports.answers_http, _HERE, own),
            patience=patience,
        )
        for number, (own, socket) in enumerate(zip(spare, sockets, strict=True), start=1)
    ]
    doors = [f"unix:{socket}" if socket else door for door, socket in zip(_here(spare), sockets, strict=True)]
    keeping = [
        Part(
            name=f"keeper-{number}",
            argv=(sys.executable, "-m", "keeper"),
            environment={**told, "KEEPER_BIND": f"{_HERE}:{own}"},
            address=(_HERE, own),
        )
        for number, own in enumerate(pages, start=1)
    ]
    administration = [
        Part(
            name=f"console-{number}",
            argv=(sys.executable, "-m", "console"),
            environment={**told, "CONSOLE_BIND": f"{_HERE}:{own}", "PARLEY_URL": _url(bind, port)},
            address=(_HERE, own),
            is_ready=partial(ports.answers_http, _HERE, own),
        )
        for number, own in enumerate(desks, start=1)
    ]
    in_front = _nginx(
        bind,
        port,
        front.words(_listen(bind, port), doors, settings, consoles=_here(desks)),
        folder=state / "nginx",
        patience=patience,
    )
    first = (_redis(redis_port, state / "redis", lock),) if own_redis else ()
    rows = (first, (*behind, *keeping, *administration), (in_front,))
    admin = bool(desks) and "ADMIN_KEY" in settings
    return Plan(rows, _url(bind, port), port, redis_url, key_to_paste(settings), tokens, admin)


def _socket(path: Path) -> str:
    """Where a gateway listens for nginx; nothing, and nginx comes by TCP, where the path cannot be a socket's."""
    return str(path) if _SOCKET.fullmatch(os.fsencode(path)) else ""


def _here(own: Sequence[int]) -> list[str]:
    return [f"{_HERE}:{port}" for port in own]


def _redis(port: int, folder: Path, lock: int) -> Part:
    folder.mkdir(exist_ok=True)
    return Part(
        name="redis",
        # No snapshots: the append-only file has it all, and is what the folder is kept for.
        argv=(str(programs.redis_server()), "--port", str(port), "--bind", _HERE, "--dir", str(folder),
              "--appendonly", "yes", "--save", "", "--loglevel", "warning"),
        address=(_HERE, port),
        is_ready=partial(ports.answers_redis, _HERE, port),
        orphaned=signal.SIGTERM,  # it writes its file before it goes
        revivable=False,
        keep_open=(lock,),  # the folder is not free before the last writer is gone, even if we are killed
    )  # fmt: skip


def _nginx(bind: str, port: int, words: Mapping[str, str], *, folder: Path, patience: float) -> Part:
    folder.mkdir(exist_ok=True)
    written = front.render(front.source(), words)
    (folder / "nginx.conf").write_text(written, encoding="utf-8")
    # Started by root, nginx would hand its workers to `nobody`, who may not enter our folder.
    extra = "daemon off;" + (" user root root;" if os.geteuid() == 0 else "")
    reach = {"0.0.0.0": _HERE, "::": "::1"}.get(bind, bind)  # noqa: S104  # the word for everywhere; we knock at one door
    return Part(
        name="nginx",
        argv=(str(programs.nginx()), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr", "-g", extra),
        address=(reach, port),
        is_ready=partial(ports.answers_http, reach, port),
        goodbye=signal.SIGQUIT,
        patience=patience,
        orphaned=signal.SIGTERM,  # a killed master would leave its workers listening
        revivable=False,
        gives_way=True,  # a gateway that writes to several streams should not be interrupted by nginx after each
    )


def _listen(bind: str, port: int) -> str:
    return f"[{bind}]:{port}" if ":" in bind else f"{bind}:{port}"


def _port(text: str) -> int:
    if text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise CannotStart(f"NGINX_PORT is {text!r}, which is no port; a number from 1 to 65535 is.")


def _url(bind: str, port: int) -> str:
    host = {"0.0.0.0": _HERE, "::": "[::1]"}.get(bind, f"[{bind}]" if ":" in bind else bind)  # noqa: S104  # as above
    return f"http://{host}:{port}"

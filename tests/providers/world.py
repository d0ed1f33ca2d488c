"""One family's world: a stack, the stand-ins behind it, and scenes to be played.

A world is made when a test first asks for it and ends when the next family's turn comes, so the tests of a family are
kept together (`tests/providers/conftest.py`): in one process, beside which another one plays with another family.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import httpx

from tests.providers.proxies import Proxies
from tests.providers.subjects import Family, Mishap
from tests.stack.listening import Heard, listen
from tests.stack.rests import forget_rests
from tests.stack.running import KEY, Stack, until
from tests.upstreams.running import Emulator

LONG = "!say:" + " ".join(f"word{n}" for n in range(60))
SETTINGS = {
    "ATTEMPTS": "2",
    "REDIS_PATIENCE_SECONDS": "2",  # what is tested here is not how a busy machine is borne
    "RETRY_FLOOR": "1000",  # what is shown here is that a failure is worth another try, not how many there may be
    "HEADER_GRACE_SECONDS": "30",  # longer than any scene's silence, so that each failure keeps its status
}


class World:
    """The stack and the stand-ins of one family, for the length of a `with` block."""

    stack: Stack
    stand_ins: Mapping[str, Emulator]

    def __init__(self, family: Family):
        self.family = family
        self.subjects = {subject.name: subject for subject in family.subjects}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            programs = self.family.stand_ins
            self.stand_ins = {name: starting.enter_context(Emulator(kind)) for name, (kind, _) in programs.items()}
            for name, (_, settings) in programs.items():
                self.stand_ins[name].set(**settings)
            urls = {name: stand_in.url for name, stand_in in self.stand_ins.items()}
            self.proxies = starting.enter_context(Proxies())
            proxies = (self.proxies.http, self.proxies.socks)
            files = {"parley.yaml": self.family.parley_yaml(urls, proxies)}
            self.stack = starting.enter_context(Stack(SETTINGS, gateways=1, files=files))
            self._running = starting.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.__exit__(kind, error, at)

    # --- scenes ---

    def begin(self, name: str, mishap: Mishap | None = None, *, kind: str = "", times: int | None = None) -> None:
        """Everything as new, the credential at hand; then the mishap, `times` or until further notice.

        `kind` is "hasty" or "pair" where that upstream is to be asked.
        """
        subject = self.subjects[name]
        if subject.stand_in is None:
            return
        stand_in = self.stand_in(name)
        stand_in.reset()
        stand_in.set(**self.family.stand_ins[subject.stand_in][1])
        upstream = f"{name}-{kind}" if kind else name
        with self.stack.store() as store:
            forget_rests(store, upstream)
        if subject.greets:
            until(lambda: self.ask(name, "!say:ready", upstream=upstream).status_code == 200, 20)
        if mishap:
            self.play(name, mishap, times=times)

    def play(self, name: str, mishap: Mishap, *, times: int | None = None, account: str | None = None) -> None:
        """From now on this goes wrong, for everybody or for one account."""
        stand_in = self.stand_in(name)
        stand_in.fault(mishap.fault, times=times, route=mishap.route, credential=account, **mishap.params)

    def crumble(self, name: str) -> None:
        """From now on answers come in the smallest of pieces."""
        subject = self.subjects[name]
        if subject.stand_in is None:
            return
        if isinstance(subject.crumbles, Mishap):
            self.play(name, subject.crumbles)
        else:
            self.stand_in(name).set(**subject.crumbles)

    def slow_down(self, name: str, first: float, each: float) -> None:
        """From now on it waits so many seconds before the first piece, and before each."""
        subject = self.subjects[name]
        if subject.stand_in:
            self.stand_in(name).set(**dict(zip(subject.waits, (first, each), strict=True)))

    @cached_property
    def silences(self) -> dict[tuple[str, str, bool], Heard]:
        """Everybody's silences, waited for side by side: by scene, subject, and whether it was streamed."""
        found: dict[tuple[str, str, bool], Heard] = {}
        with ThreadPoolExecutor(16) as waiting:
            for scene in ("silent", "silent midway"):
                named = [(subject.name, mishap) for subject, mishap in self.family.cases(scene)]
                pairs = [name for name, _ in named if scene == "silent" and self.subjects[name].second]
                for name, _ in named:
                    self.begin(name, kind="hasty")
                for name in pairs:
                    self.begin(name, kind="pair")
                players = {self.subjects[name].stand_in: (name, mishap) for name, mishap in named}
                for name, mishap in players.values():
                    self.play(name, mishap)
                asked = {
                    (scene, name, stream): waiting.submit(self.listen, name, LONG, stream, upstream=f"{name}-hasty")
                    for name, _ in named
                    for stream in (False, True)
                }
                asked |= {
                    ("pair", name, True): waiting.submit(self.listen, name, LONG, True, upstream=f"{name}-pair")
                    for name in pairs
                }
                if scene == "silent":
                    asked |= {
                        ("backed", name, True): waiting.submit(self.listen_to, f"{name}-hasty-or-echo", LONG, True)
                        for name, _ in named
                    }
                found |= {which: hearing.result() for which, hearing in asked.items()}
        return found

    # --- asking ---

    def listen(
        self,
        name: str,
        text: str | list[Any],
        stream: bool,
        *,
        upstream: str | None = None,
        model: str | None = None,
        **more: Any,
    ) -> Heard:
        return listen(self.stack, text, model=self._model(name, upstream, model), stream=stream, **more)

    def listen_to(self, model: str, text: str, stream: bool) -> Heard:
        """Whoever answers to a model's name."""
        return listen(self.stack, text, model=model, stream=stream)

    def ask(self, name: str, text: str, *, upstream: str | None = None) -> httpx.Response:
        return self.stack.ask(text, model=self._model(name, upstream))

    def _model(self, name: str, upstream: str | None, model: str | None = None) -> str:
        return f"{upstream or name}/{model or self.subjects[name].model}"

    def hang_up(self, name: str, stream: bool, *, after_words: bool, request_id: str) -> float:
        """Ask for a slow answer and leave; the moment of leaving."""
        subject = self.subjects[name]
        said = "!say:" + "word " * 200
        body = {"model": self._model(name, None), "stream": stream, "messages": [{"role": "user", "content": said}]}
        payload = json.dumps({**body, **subject.slowly}).encode()
        asked = self.asked(name)
        host, port = self.stack.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), 10) as connection:
            connection.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                f"x-request-id: {request_id}\r\nauthorization: Bearer {KEY}\r\n"
                f"content-length: {len(payload)}\r\n\r\n".encode()
                + payload
            )
            if after_words and stream:
                while b"word" not in connection.recv(4096):
                    pass
            elif subject.stand_in:
                self.stand_in(name).until(lambda _: self.asked(name) > asked, 10)
            time.sleep(0.3)
            return time.time()

    # --- what came of it ---

    def stand_in(self, name: str) -> Emulator:
        stand_in = self.subjects[name].stand_in
        assert stand_in is not None
        return self.stand_ins[stand_in]

    def struck(self, name: str, mishap: Mishap) -> int:
        """How often the mishap met somebody."""
        return int(self.stand_in(name).stats()["counts"].get(f"fault:{mishap.fault}", 0))

    def asked(self, name: str) -> int:
        """How many questions reached the stand-in since the scene began."""
        counts = self.stand_in(name).stats()["counts"] if self.subjects[name].stand_in else {}
        return int(counts.get("chat", 0) + counts.get("question", 0))

    def guests(self, name: str) -> int:
        """How many guests the stand-in let in since the scene began."""
        return int(self.stand_in(name).stats().get("guests_issued", 0))

    def record(self, heard: Heard) -> dict[str, Any]:
        """The gateway's record of an answer."""
        return self.record_of(heard.headers["x-request-id"])

    def record_of(self, request_id: str) -> dict[str, Any]:
        """The gateway's record of a request."""
        until(lambda: bool(self.stack.records(request_id)), 10)
        (record,) = self.stack.records(request_id)
        return record

"""What both APIs share: the stage, the settings, who is being answered, and what was used up."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

from aiohttp import web

from ..asked import headers_of
from ..stage import Stage
from ..visits import Visits
from .faults import NAMES
from .rules import Refused
from .settings import Settings, read_settings


class Desk:
    """All state of this process."""

    def __init__(self) -> None:
        self.visits = Visits()
        self.settings = Settings()
        self.stage = Stage(self._forget, self.visits.stats, self._set, NAMES)
        self._numbers = itertools.count(1)
        self._answering: Counter[str] = Counter()
        self._users: Counter[tuple[str, str]] = Counter()
        self._spent: Counter[str] = Counter()

    def _forget(self) -> None:
        self.settings = Settings()
        self.visits.forget()
        self._spent.clear()

    def _set(self, raw: dict[str, Any]) -> None:
        self.settings = read_settings(raw)

    def sid(self, kind: str) -> str:
        """The name of one answer."""
        return f"{kind}{next(self._numbers):06d}@dx1"

    def date(self) -> str:
        """The service's time, as HTTP writes it."""
        return formatdate(self.settings.clock(), usegmt=True)

    def passwords(self) -> dict[str, list[str] | None]:
        """Who may ask over HTTP, in the old form too."""
        pairs = {f"{key}:{one.api_secret}": one.domains for key, one in self.settings.applications.items()}
        return pairs | self.settings.passwords

    @contextmanager
    def admitted(self, who: str, user: str | None) -> Iterator[None]:
        """One answer, if there is room for it. Raises Refused."""
        settings, asking = self.settings, (who, user or "")
        if settings.rate is not None and self.visits.since(who, settings.rate.seconds) > settings.rate.requests:
            raise Refused(11202, "AppIdSecondLimit: qps limit")
        if settings.daily is not None and self._spent[who] >= settings.daily:
            raise Refused(11201, "AppIdDailyLimit")
        if settings.concurrency and self._answering[who] >= settings.concurrency:
            raise Refused(11203, "AppIdConcurrency: concurrency limit")
        if settings.one_per_user and self._users[asking]:
            raise Refused(10006, "the user is being answered")
        self._spent[who] += 1
        self._answering[who] += 1
        self._users[asking] += 1
        try:
            yield
        finally:
            self._answering[who] -= 1
            self._users[asking] -= 1

    def report(self, request: web.Request, who: str, **asked: Any) -> dict[str, Any]:
        """What `!report` answers with."""
        return {
            "path": request.path,
            "query": dict(request.query),
            "headers": headers_of(request),
            "credential": who,
            **asked,
        }

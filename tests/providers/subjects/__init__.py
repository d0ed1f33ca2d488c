"""Who is under contract, and how each one's stand-in is brought to play a scene. One file here is one family.

A family's module declares

    SUBJECTS    each a `Subject`: one way to reach one kind of service
    STAND_INS   {name: (program under tests/upstreams/, its settings)}; none where nothing is behind the subjects
    MISHAPS     {scene: mishaps}, or {scene: {subject's name: mishaps}} where they differ; the scenes are in `SCENES`

and everything else follows: the suite finds the module by itself. A family has a stack of its own, and its tests run in
one process, one after the other (`tests/providers/world.py`).
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from parley.catalog import CredentialPlan, Upstream
from parley.configuration.credentials import credential
from parley.providers import PROVIDERS, Provider
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets

SCENES: Mapping[str, str] = {
    "refused": "The credential does not open the door.",
    "expired": "A sign-in ran out, and can be renewed.",
    "throttled": "Not so fast; come back in 7 seconds.",
    "challenge page": "A page that wants a human.",
    "broken off": "Words came, then the line went dead.",
    "silent midway": "Words came, then silence.",
    "silent": "Not a word.",
    "empty": "An answer with nothing in it.",
    "garbled": "An answer that nobody can read.",
}
"""What can go wrong. A long answer is some 360 characters: "midway" is after its first words and before its last."""

CHALLENGE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>"
    "<script>window._cf_chl_opt={cvId:'3'};</script>Checking your browser</body></html>"
)
"""A page between us and a service that has none of its own among its faults."""

FIRST_TOKEN_SECONDS, BETWEEN_TOKENS_SECONDS = 1.5, 0.6


NOWHERE = "http://127.0.0.1:9"
"""Where an upstream is said to be whose credentials know better."""


class Mishap(NamedTuple):
    """One thing that goes wrong: a fault of the stand-in, what it is told, and where it strikes."""

    fault: str
    params: Mapping[str, Any] = {}
    route: str | None = None

    def __str__(self) -> str:
        where = self.route.rsplit("/", 1)[-1] if self.route else ""
        return f"{self.fault}@{where}" if where else self.fault


NET = Net(HTTP(), WebSockets(), Browser())
"""For providers that are only looked at."""

Report = dict[str, Any]
"""What `!report` answers: the request as it reached the stand-in."""


def messages(report: Report) -> str:
    """What was said to a service that takes messages as OpenAI's API states them."""
    return json.dumps(report["body"]["messages"], ensure_ascii=False)


def _break(_: int, size: int) -> tuple[Mishap, ...]:
    return Mishap("cut", {"bytes": size}), Mishap("reset", {"bytes": size})


def _spelled(item: str | Mapping[str, str]) -> Mapping[str, str]:
    return {"value": item} if isinstance(item, str) else item


@dataclass(frozen=True)
class Subject:
    """One provider, reached in one way.

    It has up to three upstreams: NAME; NAME-hasty, whose time-outs are short enough to be waited for; and NAME-pair,
    which has two credentials, each with a proxy, an address and time-outs of its own.
    """

    name: str
    provider: str
    model: str
    stand_in: str | None = None
    """The stand-in behind it, a key of STAND_INS; None where nothing is behind it."""
    upstream: Mapping[str, Any] = field(default_factory=dict)
    """Its entry in `parley.yaml`, but for name, provider and address."""
    path: str = ""
    """Between the stand-in's address and the API."""
    second: str | Mapping[str, str] | None = None
    """Another credential beside the first of `upstream`, that they may take turns; None where there are none, or where
    somebody else is akin."""
    accounts: tuple[str, str] | None = None
    """How the stand-in calls those two, where that is not the credential itself."""
    told: Callable[[Report], str] = messages
    """All that was said to the service, in its order, by its report."""
    greets: bool = False
    """Whether a first question has to be asked before a scene: the stand-in forgot whom it let in, and does so anew."""
    crumbles: Mishap | Mapping[str, Any] = Mishap("bytewise", {"size": 1})  # noqa: RUF009 - a tuple
    """What makes its stand-in send an answer in the smallest of pieces: a fault, or settings."""
    breaks: Callable[[int, int], tuple[Mishap, ...]] = _break
    """What breaks an answer off after so many frames, which are so many bytes; nothing where it has fewer."""
    ends_with_words: bool = False
    """Whether its last words and its end come in one frame."""
    waits: tuple[str, str] = ("first_delay", "piece_delay")
    """The stand-in's settings for seconds before an answer's first piece, and before each."""
    one_call: bool = False
    """Whether its service calls one tool an answer, however many it may."""
    excused: tuple[str, ...] = ("expired",)
    """Scenes that cannot happen to it."""
    akin: str | None = None
    """Another subject that shares its provider's code and its transport; who leaves, leaves that one."""
    asked: Callable[[Report], Any] = lambda report: report["body"]
    """What a question came to, by its report, without what differs each time: ids, dates, signatures."""
    asks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What a request has to say to use a feature or a knob beside it, by its name; perhaps another `model`."""
    slowly: Mapping[str, Any] = field(default_factory=dict)
    """What a request says to be answered slowly, where there is no stand-in to be told."""

    @property
    def made(self) -> Provider:
        """Its provider, as the gateway makes it: what it declares, and which abilities it has."""
        return self.make(self.place(NOWHERE), NET)

    def place(self, url: str) -> Upstream:
        """Its upstream, where the stand-in is at `url`."""
        options, models = self.upstream.get("options", {}), tuple(self.upstream.get("models", ()))
        return Upstream(self.name, self.provider, url + self.path, (self.plan,), models, options=options)

    def make(self, place: Upstream, net: Net) -> Provider:
        """Its provider, for a place."""
        return PROVIDERS[self.provider](place, net)

    def entries(self, url: str, proxies: Sequence[str]) -> list[dict[str, Any]]:
        """Its upstreams; `proxies` are those of the pair's two credentials."""
        place = url + self.path
        entry = {"provider": self.provider, "base_url": place, **self.upstream}
        hasty = {"first_token": FIRST_TOKEN_SECONDS, "between_tokens": BETWEEN_TOKENS_SECONDS}
        made = [{"name": self.name, **entry}, {"name": f"{self.name}-hasty", **entry, "timeouts": hasty}]
        if self.second:
            both = [
                {**_spelled(item), "alias": alias, "proxy": proxy, "base_url": place, "timeouts": hasty}
                for item, alias, proxy in zip(self.both, ("one", "two"), proxies, strict=True)
            ]
            made.append({"name": f"{self.name}-pair", **entry, "base_url": NOWHERE, "credentials": both})
        return made

    def routes(self) -> list[dict[str, Any]]:
        """NAME-or-echo and NAME-hasty-or-echo: that upstream, and Echo where it fails."""
        return [
            {"model": f"{upstream}-or-echo", "targets": [f"{upstream}/{self.model}", "echo/echo"]}
            for upstream in (self.name, f"{self.name}-hasty")
        ]

    @property
    def both(self) -> tuple[str | Mapping[str, str], str | Mapping[str, str]]:
        """The pair's credentials, as an operator writes them."""
        assert self.second
        return self.upstream["credentials"][0], self.second

    def account(self, place: int) -> str:
        """How the stand-in calls the first (0) or the second (1) of them."""
        named = self.accounts or self.both
        return str(named[place])

    @property
    def plan(self) -> CredentialPlan:
        """Its first credential, read as the gateway reads it; or a guest's empty place."""
        given = self.upstream.get("credentials")
        return (
            credential(given[0], where=self.name, alias="first") if given else CredentialPlan("guest", {}, guest=True)
        )


StandIns = Mapping[str, tuple[str, Mapping[str, Any]]]
Mishaps = Mapping[str, tuple[Mishap, ...]] | tuple[Mishap, ...]


class Family(NamedTuple):
    """The subjects of one module."""

    name: str
    subjects: tuple[Subject, ...]
    stand_ins: StandIns
    mishaps: Mapping[str, Mishaps]

    def cases(self, scene: str) -> list[tuple[Subject, Mishap]]:
        """Every subject's mishaps in one scene."""
        listed = self.mishaps.get(scene, ())
        return [
            (subject, mishap)
            for subject in self.subjects
            if subject.stand_in
            for mishap in (listed if isinstance(listed, tuple) else listed.get(subject.name, ()))
        ]

    def parley_yaml(self, urls: Mapping[str, str], proxies: Sequence[str]) -> str:
        """The configuration with all that have something behind them; `urls` are the stand-ins'. (JSON is YAML.)"""
        entries = [entry for one in self.subjects if one.stand_in for entry in one.entries(urls[one.stand_in], proxies)]
        routes = [route for one in self.subjects if one.stand_in for route in one.routes()]
        return json.dumps({"upstreams": entries, "routes": routes})


def _read(name: str) -> Family:
    module = importlib.import_module(f"{__name__}.{name}")
    family = Family(name, tuple(module.SUBJECTS), getattr(module, "STAND_INS", {}), getattr(module, "MISHAPS", {}))
    if strange := [scene for scene in family.mishaps if scene not in SCENES]:
        raise ValueError(f"{name}.py has mishaps for scenes that nobody plays: {', '.join(strange)}")
    return family


FAMILIES: Mapping[str, Family] = {
    found.name: _read(found.name) for found in sorted(pkgutil.iter_modules(__path__), key=lambda found: found.name)
}
"""By the name of their module, in its order: every test process must find the same tests in the same order."""


def cases(scene: str) -> list[tuple[Family, Subject, Mishap]]:
    """Everybody's mishaps in one scene."""
    return [(family, *case) for family in FAMILIES.values() for case in family.cases(scene)]


def id_of(family: Family, subject: Subject) -> str:
    """How tests about it are called; by this, a family's tests are kept together (`tests/conftest.py`)."""
    return f"{family.name}/{subject.name}"


def _each(subjects: Iterable[tuple[Family, Subject]]) -> pytest.MarkDecorator:
    """A test for each of these, with its arguments `family` and `name`."""
    found = [pytest.param(family, subject.name, id=id_of(family, subject)) for family, subject in subjects]
    return pytest.mark.parametrize(("family", "name"), found)


_SUBJECTS = [(family, subject) for family in FAMILIES.values() for subject in family.subjects]

everybody = _each(_SUBJECTS)
_KINDS = [(family, subject) for family, subject in _SUBJECTS if not subject.akin]
one_of_each = _each(_KINDS)
"""One of each kind."""
pairs = _each((family, subject) for family, subject in _KINDS if subject.second)
"""One of each kind that has two credentials."""
one_of_each_provider = _each({subject.provider: (family, subject) for family, subject in reversed(_KINDS)}.values())
"""The first of each provider, where several are no kin because they sign in differently."""
stood_in = _each((family, subject) for family, subject in _SUBJECTS if subject.stand_in)
"""Everybody who has a stand-in behind."""

"""The `parley` command through the real front: what it changes is in force in every gateway, at once."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import openai
import pytest

from tests.stack.running import ADMIN_KEY, KEY, Stack, until
from tests.upstreams.running import Emulator

PAGE = Path(__file__).parents[2] / "docs" / "command.md"
MODELS = {"big-model": "demo-large", "small-model": "demo-mini"}


class Place:
    def __init__(self, stack: Stack, emulators: dict[str, Emulator]) -> None:
        self.stack, self.emulators = stack, emulators

    def parley(self, *words: str, code: int = 0, stdin: str = "", **environment: str) -> str:
        """What a command says, as a process of its own."""
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG") if name in os.environ}
        told = {"PARLEY_URL": self.stack.url, "ADMIN_KEY": ADMIN_KEY, "API_MASTER_KEY": KEY, **environment}
        done = subprocess.run(
            [sys.executable, "-m", "command", *words],
            cwd=self.stack.folder,
            env={**kept, **told},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + (done.stderr if code else "")

    def ask(self, key: str, model: str = "smart") -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "!say:hi"}]}
        headers = {"authorization": f"Bearer {key}"}
        return httpx.post(f"{self.stack.url}/v1/chat/completions", json=body, headers=headers, timeout=30)

    def statuses(self, key: str, count: int = 12) -> set[int]:
        """Of requests one after the other, on connections of their own: every gateway has some."""
        return {self.ask(key).status_code for _ in range(count)}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with ExitStack() as things:
        emulators = {name: things.enter_context(Emulator("openai")) for name in ("east", "west")}
        # Revoked keys are tried often here; that they are not guesses, nobody knows.
        stack = things.enter_context(Stack({"WRONG_KEYS_PER_MINUTE": "1000"}, console=True, gateways=4))
        yield Place(stack, emulators)


@pytest.fixture(scope="module")
def keys(place: Place) -> dict[str, str]:
    """What docs/command.md prints under `Two keys, two upstreams, one route`, done; the keys by their names."""
    block = re.search(r"## Two keys, two upstreams, one route\n+```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert block
    lines = [line.partition("#")[0].strip() for line in block[1].splitlines() if line.startswith("parley ")]
    keys: dict[str, str] = {}
    there = MODELS | {f"https://{name}.example": at.url for name, at in place.emulators.items()}
    for line in lines:
        words = shlex.split(re.sub("|".join(map(re.escape, there)), lambda found: there[found[0]], line))[1:]
        said = place.parley(*words, stdin="sk-upstream-1\n" if "--credential" in words else "")
        if words[:2] == ["keys", "create"]:
            keys[words[2]] = re.search(r"sk-parley-\S+", said)[0]  # type: ignore[index]
        if words[:2] == ["credentials", "test"]:
            assert len(re.findall(r"main +ok", said)) == 2
        if words == ["models"]:
            assert re.search(r"^smart +parley$", said, re.MULTILINE)
    return keys


def test_what_the_page_prints_works_in_every_gateway(place: Place, keys: dict[str, str]) -> None:
    assert keys.keys() == {"alice", "bob"}
    for key in keys.values():
        assert place.statuses(key, 6) == {200}
    answer = openai.OpenAI(base_url=f"{place.stack.url}/v1", api_key=keys["alice"]).chat.completions.create(
        model="smart", messages=[{"role": "user", "content": "!say:hello from east"}]
    )
    assert answer.choices[0].message.content == "hello from east"
    assert place.ask(keys["alice"], "west/demo-mini").status_code in (403, 404), "alice may ask for smart only"
    assert place.ask(keys["bob"], "west/demo-mini").status_code == 200


def test_what_was_used_and_what_is_left_is_told(place: Place, keys: dict[str, str]) -> None:
    place.ask(keys["alice"])
    until(lambda: "alice" in place.parley("usage", "key"))
    series = place.parley("usage", "model", "--series", "--from", "1h")
    assert "demo-large" in series and "demo-large" in place.parley("usage", "model", "--csv")
    assert re.search(r"key:alice +\d+/60", place.parley("limits", "list"))
    assert re.search(r"key:bob .*\d/500,000 tokens until", place.parley("limits", "show", "key:bob"))
    assert "requests per minute" in place.parley("keys", "show", "alice")


def test_what_became_of_a_request_is_found_by_the_id_of_its_answer(place: Place, keys: dict[str, str]) -> None:
    place.emulators["east"].fault("server_error", times=1)
    answer = place.ask(keys["bob"], "smart")
    assert answer.status_code == 200
    name = answer.headers["x-request-id"]
    until(lambda: place.stack.records(name) and name in place.parley("requests", "--caller", "bob"))
    said = place.parley("requests", name)
    assert re.search(
        r"^ *1 +east +demo-large +main .*upstream_error +500 .*upstream +upstream_error$", said, re.MULTILINE
    )
    assert re.search(r"^ *2 +(east|west) ", said, re.MULTILINE) and re.search(r"^status +200$", said, re.MULTILINE)
    assert "!say" not in said


def test_a_revoked_key_is_refused_everywhere_and_a_rotated_one_has_its_grace(
    place: Place, keys: dict[str, str]
) -> None:
    old = place.parley("keys", "create", "carol", "--quiet").strip()
    new = place.parley("keys", "rotate", "carol", "--grace", "10m", "--quiet").strip()
    until(lambda: place.statuses(new) == {200}, 5)
    assert place.statuses(old) == {200}
    place.parley("keys", "disable", "carol")
    until(lambda: place.statuses(new, 1) == {401}, 5)
    until(lambda: place.statuses(new) | place.statuses(old) == {401}, 5)
    place.parley("keys", "enable", "carol")
    until(lambda: place.statuses(new) == {200}, 5)
    place.parley("keys", "delete", "carol")
    until(lambda: place.statuses(new) == {401}, 5)


def test_a_rollback_brings_back_what_was(place: Place, keys: dict[str, str]) -> None:
    before = re.findall(r"^ *(\d+)", place.parley("config", "revisions"), re.MULTILINE)[0]
    place.parley("routes", "put", "smart", "west/demo-mini")
    place.parley("upstreams", "remove", "east")
    assert "smart leads to" in place.parley("routes", "put", "smart", "west/demo-large")
    said = place.parley("config", "rollback", before)
    assert re.search(r"^\+ +upstreams east", said, re.MULTILINE)
    assert re.search(r"^\+ +credentials east main .*masked:", said, re.MULTILINE)
    until(lambda: place.statuses(keys["bob"], 4) == {200}, 5)


def test_an_archive_goes_to_another_place_of_the_same_secret(place: Place, keys: dict[str, str]) -> None:
    place.parley("config", "export", "--secrets", "parley-secret", "-o", "archive.json")
    archive = (place.stack.folder / "archive.json").read_text()
    assert "sk-upstream-1" not in archive and not any(key in archive for key in keys.values())
    place.parley("config", "rollback", "0")
    until(lambda: place.statuses(keys["bob"], 4) == {401}, 5)
    place.parley("config", "import", "archive.json")
    until(lambda: place.statuses(keys["bob"], 4) == {200}, 5)


def test_a_wrong_admin_key_and_no_console_are_told_apart(place: Place) -> None:
    said = place.parley("status", code=1, ADMIN_KEY="a-wrong-admin-key-of-a-test")
    assert "ADMIN_KEY is not that of the Parley" in said
    place.stack.kill(place.stack.consoles[0])
    said = place.parley("status", code=3)
    assert "no console behind it does" in said


def test_status_and_models_see_what_is_there(place: Place) -> None:
    """Last: the console was killed. Callers are served all the same, and told which models there are."""
    assert any(model.id == "smart" for model in place.stack.client().models.list())
    assert re.search(r"^smart +parley$", place.parley("models"), re.MULTILINE)

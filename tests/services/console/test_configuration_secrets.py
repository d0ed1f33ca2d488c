"""Promise 12 in the admin API: canaries in every field that holds a secret, at every address, well-formed and not;
then answers, logs, the journal, the audit and all of Redis are searched."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.bodies import CredentialItem
from parley.configuration.keys import digest
from tests.contents import contents
from tests.servers import RedisServer
from tests.services.console.conftest import Console, Consoles, app
from tests.stack.canaries import Canaries

ANY = {"If-Match": "*"}
BESIDE = {"proxy", "base_url", "timeouts", "limits", "disabled"}
PARTS = [name for name in CredentialItem.model_fields if name not in BESIDE]
PASSPHRASE = "passphrase"

PATHS: dict[str, Any] = app().openapi()["paths"]
canaries = Canaries()


def item(name: str, parts: list[str]) -> dict[str, Any]:
    """A credential whose every part sings."""
    return {
        **{part: canaries[f"{name}.{part}"] for part in parts},
        "proxy": f"socks5://me:{canaries[f'{name}.proxy']}@127.0.0.1:1",
        "base_url": f"http://{canaries[f'{name}.user']}:{canaries[f'{name}.password']}@127.0.0.1:1/v1",
    }


def upstream(name: str) -> dict[str, Any]:
    """An upstream that sings wherever a secret may be."""
    headers = {"authorization": f"Bearer {canaries[f'{name}.authorization']}", "x-any": canaries[f"{name}.header"]}
    return {
        "provider": "openai",
        "base_url": f"http://me:{canaries[f'{name}.url']}@127.0.0.1:1/v1?key={canaries[f'{name}.query']}",
        "proxy": f"http://me:{canaries[f'{name}.proxy']}@127.0.0.1:1",
        "options": {"headers": headers},
        "defaults": {"access_token": canaries[f"{name}.default"]},
        "models": ["some-model"],
        "credentials": {"a": item(f"{name}.a", PARTS), "b": item(f"{name}.b", ["value"])},
    }


def broken(body: Any) -> Iterator[Any]:
    """The same body in shapes that are refused: the refusal must not repeat it."""
    if not isinstance(body, dict):
        return
    for name in body:
        sung = canaries[f"broken.{name}"]
        yield {**body, name: [[sung]]}
        if name not in ("options", "defaults"):  # where anything may be said
            yield {**body, name: {"of": {"no": {"sense": sung}}}}
    yield {**body, "nonsense": canaries["broken.nonsense"]}


class Tour:
    """Goes over the endpoints and keeps what it hears."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.heard: dict[str, bytes] = {}
        self.keys: list[str] = []
        self.visited: set[tuple[str, str]] = set()

    async def go(self, method: str, path: str, body: Any = None, *, good: bool = True) -> Any:
        """Ask for it rightly, and before that, where there is a body, wrongly in every way."""
        for wrong in (
            () if body is None else (*map(json.dumps, broken(body)), json.dumps(body)[:-1], json.dumps([body]))
        ):
            refused = await self._asked(method, path, content=wrong)
            assert refused.status_code == 400, refused.text
        answer = await self._asked(method, path, **({} if body is None else {"content": json.dumps(body)}))
        assert answer.is_success == good, answer.text
        return answer.json() if answer.content else None

    async def _asked(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**ANY, "content-type": "application/json"}
        answer = await self.console.client.request(method, path, headers=headers, **more)
        assert answer.status_code != 500, answer.text
        text = answer.text
        if answer.is_success and "key" in (told := answer.json() if answer.content else {}):
            self.keys.append(told["key"])
            text = text.replace(told["key"], "")
        self.heard[f"{method} {path} ({len(self.heard)})"] = text.encode() + str(answer.headers).encode()
        self.visited |= {(method.lower(), template) for template in _templates(path)}
        return answer


def _templates(path: str) -> Iterator[str]:
    for template in PATHS:
        shape = re.sub(r"\\\{(\w+)\\\}", lambda found: ".+" if found[1] == "model" else "[^/]+", re.escape(template))
        if re.fullmatch(shape, f"/admin/api/v1/{path}"):
            yield template


@pytest.fixture
async def console(consoles: Consoles, tmp_path: Path) -> Console:
    key, east = canaries["file.key"], canaries["file.value"]
    (tmp_path / "parley.yaml").write_text(
        f"upstreams: [{{name: east, provider: openai, base_url: 'http://127.0.0.1:1', models: [big],"
        f" credentials: [{east}], proxy: 'http://u:{canaries['file.proxy']}@127.0.0.1:1'}}]\n"
        f"keys: [{{name: alice, key: {key}}}]\n"
    )
    config = {"api_key": canaries["old.key"]}
    old = [{"token": canaries["old.token"], "type": "openai", "config": config}]
    (tmp_path / "model-config.json").write_text(json.dumps(old))
    return await consoles(OPENAI_API_KEY=canaries["environment"], PARLEY_SECRET=canaries["seal"])


async def test_no_endpoint_repeats_a_secret(
    console: Console, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tour = Tour(console)
    bodies = upstream("west")
    await tour.go("PUT", "upstreams/west", bodies)
    await tour.go(
        "PATCH",
        "upstreams/west",
        {"proxy": bodies["proxy"], "options": bodies["options"], "base_url": bodies["base_url"]},
    )
    await tour.go("PATCH", "upstreams/east", {"proxy": f"http://u:{canaries['east.proxy']}@127.0.0.1:2"})
    await tour.go("PUT", "upstreams/west/credentials/c", item("c", ["value", "token"]))
    await tour.go("PATCH", "upstreams/west/credentials/c", item("d", ["value"]))
    await tour.go("PATCH", "upstreams/openai/credentials/openai-1", {"value": canaries["rolled"]})
    await tour.go("PUT", "routes/smart", {"targets": ["east/big"], "defaults": {"access_token": canaries["route"]}})
    await tour.go("PATCH", "routes/smart", {"defaults": {"access_token": canaries["route.2"]}})
    await tour.go("POST", "keys", {"name": "bob", "owner": "Bob"})
    await tour.go("PATCH", "keys/bob", {"notes": "shown"})
    await tour.go("PATCH", "keys/alice", {"notes": "shown"})
    await tour.go("POST", "keys/bob/rotate", {"grace": 60})
    await tour.go("POST", "keys/alice/rotate", {"grace": 60})
    await tour.go("PUT", "limits/models/big", {"concurrency": 1})
    await tour.go("PATCH", "limits/models/big", {"concurrency": 2})
    await tour.go("PUT", "prices", {"models": []})
    await tour.go("PATCH", "settings", {"default_model": "big"})
    secret = {"passphrase": canaries[PASSPHRASE]}
    for how in ({"secrets": "left-out"}, {"secrets": "parley-secret"}, {"secrets": "passphrase", **secret}):
        archive = await tour.go("POST", "config/export", {"what": "everything", **how})
        opened = secret if how["secrets"] == "passphrase" else {}
        for more in ({"dry_run": True}, {"merge": True}, {}):
            asked = {"archive": archive, **opened, **more}
            await tour.go("POST", "config/import", asked)
    await tour.go("POST", "config/import", {"archive": archive, "passphrase": canaries["wrong"]}, good=False)
    changes = {"upstreams": {"west": {name: said for name, said in bodies.items() if name != "credentials"}}}
    changes["credentials"] = {"west": bodies["credentials"]}
    await tour.go("POST", "config/validate", {"changes": changes})
    await tour.go("POST", "config/restore", {"place": ["keys", "alice"]})
    for path in (
        *("config", "config/schema", "upstreams", "upstreams/west", "upstreams/east", "upstreams/openai", "routes"),
        *("routes/smart", "keys", "keys/alice", "keys/bob", "limits/models", "limits/models/big", "prices", "settings"),
        *("revisions", "audit", "status", "credentials", "upstreams/west/credentials", "upstreams/west/credentials/a"),
    ):
        await tour.go("GET", path)
    for revision in range(1, console.parts.live.revision + 1):
        await tour.go("GET", f"revisions/{revision}")
        await tour.go("GET", f"revisions/{revision}/diff")
    stale = await console.client.delete("upstreams/west", headers={"If-Match": '"r1"'})
    tour.heard["412"] = stale.content
    assert stale.status_code == 412
    for path in (
        *("prices", "limits/models/big", "keys/bob", "keys/alice", "routes/smart"),
        *("upstreams/west/credentials/c", "upstreams/west"),
    ):
        await tour.go("DELETE", path)
    await tour.go("POST", "revisions/1/rollback")

    for one in await console.records():
        tour.heard["journal"] = tour.heard.get("journal", b"") + json.dumps(one).encode()
    tour.heard["logs"] = "\n".join(record.getMessage() for record in caplog.records).encode()
    for name, held in contents(redis.url):
        tour.heard[f"redis: {name}"] = held
    _nothing_of(tour.heard, tour.keys)
    assert _configured() <= tour.visited, "an address was left out"


def _nothing_of(outputs: dict[str, bytes], keys: list[str]) -> None:
    """No output sings, or has a key, or the hash of one: whoever chose it may have chosen one that can be guessed."""
    silent = [*keys, *(digest(key) for key in keys), digest(canaries["file.key"]), digest(canaries["old.token"])]
    assert len(keys) == 3, "one was made, two were rotated"
    for name, output in outputs.items():
        assert not canaries.heard_in(output), f"{name}: {canaries.heard_in(output)}"
        assert not [text for text in silent if text.encode() in output], f"{name} has a key"


def _configured() -> set[tuple[str, str]]:
    """Every operation on the configuration."""
    tags = {"upstreams", "routes", "keys", "prices", "settings", "configuration", "revisions"}
    return {
        (method, path)
        for path, methods in PATHS.items()
        for method, operation in methods.items()
        if set(operation["tags"]) & tags or ("limits/models" in path) or (method in ("put", "patch"))
    }

"""The configuration through the admin API: what is changed is in force when that is answered, secrets are not shown."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from parley.configuration.keys import digest
from tests.servers import RedisServer
from tests.services.console.conftest import Console, Consoles

ANY = {"If-Match": "*"}
WEST = {"provider": "openai", "base_url": "http://127.0.0.1:3/v1", "models": ["west-model"]}
FILE = """
upstreams:
  - {name: east, provider: openai, base_url: "http://127.0.0.1:1/v1", models: [big],
     credentials: [east-secret-one, {value: east-secret-two, alias: spare}]}
routes:
  - {model: smart, targets: [east/big]}
keys:
  - {name: alice, key: alices-own-key-of-the-file, models: [smart], owner: Alice}
limits:
  - {model: "east/*", tokens_per_minute: 5000}
prices: {currency: EUR, models: [{model: big, prompt: 1.25, completion: 2}]}
"""


@pytest.fixture
async def console(consoles: Consoles, tmp_path: Path) -> Console:
    """One with a file."""
    (tmp_path / "parley.yaml").write_text(FILE)
    return await consoles(OPENAI_API_KEY="openai-secret-of-the-environment", DEFAULT_MODEL="smart")


async def done(
    console: Console, method: str, path: str, body: Any = None, *, status: int = 200, match: str = "*"
) -> httpx.Response:
    """A change that goes well."""
    more = {} if body is None else {"json": body}
    answer = await console.client.request(method, path, headers={"If-Match": match}, **more)
    assert answer.status_code == status, answer.text
    assert status != 204 or (answer.content, "content-type" in answer.headers) == (b"", False)
    number = answer.headers["x-parley-revision"]
    assert answer.headers["etag"] == f'"r{number}"'
    assert console.parts.live.revision >= int(number), "it is in force when it is answered"
    return answer


def parts_of(console: Console, upstream: str) -> dict[str, dict[str, str]]:
    """What is lent, by alias."""
    plans = console.parts.live.catalog.upstreams[upstream].credentials
    return {plan.alias: {name: part.reveal() for name, part in plan.parts.items()} for plan in plans}


# --- upstreams ----------------------------------------------------------------------------------------------------


async def test_an_upstream_is_added_changed_and_taken_away(console: Console) -> None:
    body = {**WEST, "credentials": {"a": {"value": "west-secret-a"}}}
    told = (await done(console, "PUT", "upstreams/west", body, status=201)).json()
    assert (told["name"], told["source"], told["overrides"]) == ("west", "changes", None)
    assert told["entry"] == WEST
    assert [(one["alias"], one["source"]) for one in told["credentials"]] == [("a", "changes")]
    assert parts_of(console, "west") == {"a": {"value": "west-secret-a"}}
    assert console.parts.offer.providers["west"], "and somebody speaks to it"
    await done(console, "PATCH", "upstreams/west", {"timeouts": {"total": 5}, "models": None})
    west = console.parts.live.catalog.upstreams["west"]
    assert (west.timeouts.total, west.models) == (5, ())
    told = (await done(console, "PUT", "upstreams/west", WEST)).json()
    assert told["entry"] == WEST and parts_of(console, "west") == {"a": {"value": "west-secret-a"}}
    await done(console, "DELETE", "upstreams/west", status=204)
    assert "west" not in console.parts.live.catalog.upstreams
    assert (await console.refused("GET", "upstreams/west", 404))["param"] == "name"


async def test_what_comes_from_environment_and_file_says_so(console: Console) -> None:
    rows = (await console.get("upstreams"))["data"]
    assert {row["name"]: row["source"] for row in rows} == {
        "east": "file",
        "echo": "built-in",
        "openai": "environment",
    }
    await done(console, "PATCH", "upstreams/openai", {"default_model": "gpt-5"})
    told = await console.get("upstreams/openai")
    assert (told["source"], told["overrides"]) == ("changes", "environment")
    assert [(one["alias"], one["source"]) for one in told["credentials"]] == [("openai-1", "environment")]


async def test_what_was_shown_can_be_sent_back(console: Console) -> None:
    body = {
        **WEST,
        "base_url": "http://me:url-password@127.0.0.1:3/v1",
        "proxy": "http://p:proxy-password@127.0.0.1:4",
        "options": {"headers": {"x-team": "header-secret"}},
        "credentials": {"a": {"value": "west-secret-a"}},
    }
    told = (await done(console, "PUT", "upstreams/west", body, status=201)).json()
    before = console.parts.live.catalog.upstreams["west"]
    entry = {**told["entry"], "credentials": {one["alias"]: one["entry"] for one in told["credentials"]}}
    assert "masked:" in json.dumps(entry)
    again = await done(console, "PUT", "upstreams/west", entry)
    assert again.headers["x-parley-revision"] == "1", "nothing new, no revision"
    await done(console, "PUT", "upstreams/west", {**entry, "models": ["other"]})
    after = console.parts.live.catalog.upstreams["west"]
    assert after.models == ("other",)
    assert (after.base_url, after.proxy, after.options, after.credentials) == (
        before.base_url, before.proxy, before.options, before.credentials,
    )  # fmt: skip
    wrong = {**entry, "proxy": "masked:000000000000"}
    error = await console.refused("PUT", "upstreams/west", 400, headers=ANY, json=wrong)
    assert (error["code"], error["param"]) == ("configuration_refused", "proxy")


@pytest.mark.parametrize(
    ("change", "param", "told"),
    [
        ({"nonsense": 1}, "nonsense", "Extra inputs"),
        ({"provider": None}, "provider", ""),
        ({"provider": "bing"}, "west", "Bing chat has ended"),
        ({"provider": "nobody"}, "west", "there are:"),
        ({"options": {"nonsense": 1}}, "west", "options:"),
        ({"base_url": "nowhere"}, "base_url", "it must be an address"),
        ({"base_url": "http://[:1"}, "base_url", "it must be an address"),
        ({"proxy": "ftp://127.0.0.1"}, "proxy", "it must be an address"),
        ({"timeouts": {"total": 0}}, "timeouts.total", "greater than 0"),
        ({"defaults": {"model": "x"}}, "defaults", "the caller's alone"),
        ({"credentials": {"a": {"value": "change-me"}}}, "credentials.west.a.value", "placeholder"),
        ({"credentials": {"a": {"vlaue": "x"}}}, "credentials.a.vlaue", "Extra inputs"),
        ({"credentials": {"a": {}}}, "credentials.west.a", "has no value"),
    ],
)
async def test_a_bad_upstream_is_refused_whole_with_its_place(
    console: Console, change: dict[str, Any], param: str, told: str
) -> None:
    error = await console.refused("PUT", "upstreams/west", 400, headers=ANY, json={**WEST, **change})
    assert told in error["message"] and str(error["param"]).endswith(param)
    assert console.parts.live.revision == 0
    assert (await console.get("audit"))["data"] == []


async def test_an_upstream_that_a_route_needs_stays(console: Console) -> None:
    error = await console.refused("DELETE", "upstreams/east", 400, headers=ANY)
    assert "route 'smart' names the upstream 'east'" in error["message"] and error["param"] == "routes.smart"
    error = await console.refused("DELETE", "upstreams/echo", 400, headers=ANY)
    assert "built in" in error["message"]


# --- credentials --------------------------------------------------------------------------------------------------


async def test_a_credential_is_added_replaced_disabled_and_taken_away(console: Console) -> None:
    path = "upstreams/openai/credentials"
    told = (await done(console, "PUT", f"{path}/new", {"value": "new-secret-value"}, status=201)).json()
    assert (told["upstream"], told["alias"], told["source"], told["overrides"]) == ("openai", "new", "changes", None)
    await done(console, "PUT", f"{path}/new", {"value": "newer-secret-value", "proxy": "http://127.0.0.1:9"})
    assert parts_of(console, "openai")["new"] == {"value": "newer-secret-value"}
    told = (await done(console, "PATCH", f"{path}/openai-1", {"disabled": True})).json()
    assert (told["source"], told["overrides"], told["entry"]["disabled"]) == ("changes", "environment", True)
    assert [plan.disabled for plan in console.parts.live.catalog.upstreams["openai"].credentials] == [True, False]
    row = await console.get(f"{path}/openai-1")
    assert row["state"] == "disabled"
    assert row["configuration"] == {name: said for name, said in told.items() if name not in ("object", "upstream")}
    assert {row["alias"]: row["configuration"]["source"] for row in (await console.get(path))["data"]} == {
        "new": "changes",
        "openai-1": "changes",
    }
    await done(console, "PATCH", f"{path}/openai-1", {"disabled": False, "limits": {"concurrency": 2}})
    await done(console, "DELETE", f"{path}/openai-1", status=204)
    assert list(parts_of(console, "openai")) == ["new"]
    error = await console.refused("DELETE", f"{path}/new", 400, headers=ANY)
    assert "its last credential cannot be taken away" in error["message"]
    assert (await console.refused("PATCH", f"{path}/openai-1", 404, headers=ANY, json={}))["param"] == "alias"
    assert (await console.refused("PUT", "upstreams/no/credentials/a", 404, headers=ANY, json={"value": "xx"}))[
        "param"
    ] == "upstream"


async def test_a_credential_of_the_environment_that_was_removed_stays_away_after_a_restart(
    consoles: Consoles,
) -> None:
    both = json.dumps([{"value": f"sk-{name}-secret", "alias": name} for name in "ab"])
    first = await consoles(OPENAI_CREDENTIALS=both)
    await done(first, "DELETE", "upstreams/openai/credentials/a", status=204)
    second = await consoles(OPENAI_CREDENTIALS=both)
    assert list(parts_of(second, "openai")) == ["b"]
    place = {"place": ["credentials", "openai", "a"]}
    told = (await done(second, "POST", "config/restore", place)).json()
    assert [(one["place"], one["change"]) for one in told["differences"]] == [(place["place"], "added")]
    assert list(parts_of(second, "openai")) == ["a", "b"]


# --- routes, limits, prices, settings -----------------------------------------------------------------------------


async def test_a_route_of_any_name(console: Console) -> None:
    name = "team/gpt-4*"
    told = (await done(console, "PUT", f"routes/{name}", {"targets": ["east/big"]}, status=201)).json()
    assert told["model"] == name and told["entry"] == {"targets": [{"target": "east/big"}]}
    await done(console, "PATCH", f"routes/{name}", {"strategy": "weighted", "defaults": {"temperature": 0.2}})
    assert console.parts.live.catalog.routes[name].strategy == "weighted"
    assert [row["model"] for row in (await console.get("routes"))["data"]] == ["smart", name]
    await done(console, "DELETE", f"routes/{name}", status=204)
    await done(console, "PATCH", "settings", {"default_model": None})
    await done(console, "DELETE", "routes/smart", status=204)
    assert not console.parts.live.catalog.routes
    error = await console.refused("PUT", "routes/a", 400, headers=ANY, json={"targets": ["nobody/big"]})
    assert "names the upstream 'nobody'" in error["message"]
    error = await console.refused(
        "PUT", "routes/a", 400, headers=ANY, json={"targets": ["east/big"], "aliases": ["b*"]}
    )
    assert error["param"] == "routes.a" and "is a pattern" in error["message"]


async def test_limits_of_models_keep_their_order(console: Console) -> None:
    await done(console, "PUT", "limits/models/big", {"requests_per_minute": 5}, status=201)
    await done(console, "PATCH", "limits/models/east/*", {"concurrency": 3})
    rows = (await console.get("limits/models"))["data"]
    assert [(row["model"], row["position"], row["entry"]) for row in rows] == [
        ("east/*", 0, {"tokens_per_minute": 5000, "concurrency": 3}),
        ("big", 1, {"requests_per_minute": 5}),
    ]
    assert rows[0]["overrides"] == "file"
    await done(console, "DELETE", "limits/models/east/*", status=204)
    assert [limit.model for limit in console.parts.live.catalog.model_limits.limits] == ["big"]
    budget = {"budgets": [{"unit": "money", "amount": 1.5, "period": "day"}]}
    assert (await done(console, "PUT", "limits/models/big", budget)).json()["entry"] == budget
    error = await console.refused("PUT", "limits/models/big", 400, headers=ANY, json={"rpm": 1})
    assert error["param"] == "rpm"


async def test_the_price_table_is_one_entry(console: Console) -> None:
    told = await console.get("prices")
    assert (told["source"], told["entry"]["currency"]) == ("file", "EUR")
    table = {"currency": "USD", "models": [{"model": "big", "prompt": 0.15, "completion": 0.6}]}
    told = (await done(console, "PUT", "prices", table)).json()
    assert (told["source"], told["overrides"], told["entry"]) == ("changes", "file", table)
    assert console.parts.live.catalog.prices.prices[0].prompt == 150_000
    await done(console, "DELETE", "prices", status=204)
    assert (await console.get("prices"))["source"] == "file"


async def test_the_default_model(console: Console) -> None:
    told = await console.get("settings")
    assert told["default_model"] == {"value": "smart", "source": "environment", "overrides": None}
    told = (await done(console, "PATCH", "settings", {"default_model": None})).json()
    assert told["default_model"] == {"value": None, "source": "changes", "overrides": "environment"}
    assert console.parts.live.catalog.default_model is None
    await done(console, "PATCH", "settings", {"default_model": "big"})
    error = await console.refused("PATCH", "settings", 400, headers=ANY, json={"default_model": "b*"})
    assert error["param"] == "default_model"
    unchanged = await done(console, "PATCH", "settings", {})
    assert unchanged.headers["x-parley-revision"] == "2"


# --- keys ---------------------------------------------------------------------------------------------------------


def caller(console: Console, key: str) -> Any:
    return console.parts.live.catalog.callers.get(bytes.fromhex(digest(key)))


async def test_a_key_is_told_once_changed_rotated_and_revoked(console: Console) -> None:
    facts = {"owner": "Bob", "models": ["smart"], "limits": {"requests_per_minute": 60}, "networks": ["10.0.0.0/8"]}
    told = (await done(console, "POST", "keys", {"name": "bob", **facts}, status=201)).json()
    key = told.pop("key")
    assert key.startswith("sk-parley-") and told["prefix"] == key[:18]
    assert caller(console, key).models == ("smart",)
    again = await console.get("keys/bob")
    assert again == told and again["entry"] == facts
    assert key not in json.dumps(await console.get("keys")) and digest(key) not in json.dumps(
        await console.get("config")
    )
    assert (await console.refused("POST", "keys", 409, headers=ANY, json={"name": "bob"}))["param"] == "name"

    await done(console, "PATCH", "keys/bob", {"disabled": True, "models": None, "limits": {"tokens_per_day": 5}})
    bob = caller(console, key)
    assert (bob.disabled, bob.models, bob.limits.requests_per_minute, bob.limits.tokens_per_day) == (True, (), 60, 5)

    told = (await done(console, "POST", "keys/bob/rotate", {"grace": 3600})).json()
    new = told["key"]
    assert new != key and told["prefix"] == new[:18] and told["previous_until"] > told["rotated"] + 3599
    assert caller(console, key).expires == told["previous_until"] and caller(console, new).expires is None
    newest = (await done(console, "POST", "keys/bob/rotate", {})).json()["key"]
    assert (caller(console, key), caller(console, new)) == (None, None) and caller(console, newest).name == "bob"
    await done(console, "DELETE", "keys/bob", status=204)
    assert caller(console, newest) is None
    assert [row["name"] for row in (await console.get("keys"))["data"]] == ["alice"]


async def test_a_key_has_defaults_whose_secrets_are_not_shown(console: Console) -> None:
    defaults = {"temperature": 0.2, "tool_token": "a-secret-of-defaults"}
    told = (await done(console, "POST", "keys", {"name": "bob", "defaults": defaults}, status=201)).json()
    assert told["entry"]["defaults"]["temperature"] == 0.2 and "a-secret" not in json.dumps(told)
    shown = (await console.get("keys/bob"))["entry"]["defaults"]
    assert shown["tool_token"].startswith("masked:") and "a-secret" not in json.dumps(await console.get("config"))
    await done(console, "PATCH", "keys/bob", {"defaults": {**shown, "temperature": 0.3}})
    assert caller(console, told["key"]).defaults == {**defaults, "temperature": 0.3}
    for wrong, says in (({"model": "x"}, "the caller's alone"), ({"temperature": 9}, "<= 2.0")):
        error = await console.refused("PATCH", "keys/bob", 400, headers=ANY, json={"defaults": wrong})
        assert says in error["message"] and error["param"].startswith("defaults")
    error = await console.refused("POST", "keys", 400, headers=ANY, json={"name": "eve", "defaults": shown})
    assert error["param"] == "defaults.tool_token"


async def test_a_key_of_the_file_is_known_by_its_name(console: Console) -> None:
    told = await console.get("keys/alice")
    assert (told["source"], told["prefix"], told["entry"]) == ("file", "", {"owner": "Alice", "models": ["smart"]})
    new = (await done(console, "POST", "keys/alice/rotate", {"grace": 60})).json()["key"]
    assert caller(console, new).name == caller(console, "alices-own-key-of-the-file").name == "alice"
    await done(console, "DELETE", "keys/alice", status=204)
    assert caller(console, "alices-own-key-of-the-file") is None
    assert [row["place"] for row in (await console.get("config"))["taken_away"]] == [["keys", "alice"]]
    await done(console, "POST", "config/restore", {"place": ["keys", "alice"]})
    assert caller(console, "alices-own-key-of-the-file").name == "alice"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "master"}, ""),
        ({"name": "no good"}, "name"),
        ({}, "name"),
        ({"name": "bob", "expires": "soon"}, "expires"),
        ({"name": "bob", "networks": ["10.0.0.0/33"]}, "networks.0"),
        ({"name": "bob", "hash": "0" * 64}, "hash"),
        ({"name": "bob", "disabled": 0}, "disabled"),
        ({"name": "bob", "expires": 1_900_000_000}, "expires"),
        ({"name": "bob", "limits": {"concurrency": True}}, "limits.concurrency"),
        ({"name": "bob", "limits": {"tokens_per_day": "5"}}, "limits.tokens_per_day"),
        ({"name": "bob", "limits": {"budgets": [{"unit": "money", "amount": 1}]}}, "limits.budgets.0.period"),
    ],
)
async def test_a_bad_key_is_refused(console: Console, body: dict[str, Any], param: str) -> None:
    error = await console.refused("POST", "keys", 400, headers=ANY, json=body)
    assert str(error["param"]).startswith(param)


async def test_keys_of_an_owner_come_in_pages(console: Console) -> None:
    for number in range(3):
        await done(console, "POST", "keys", {"name": f"bob-{number}", "owner": "Bob"}, status=201)
    first = await console.get("keys", owner="Bob", limit=2)
    assert [row["name"] for row in first["data"]] == ["bob-0", "bob-1"] and first["has_more"]
    second = await console.get("keys", owner="Bob", limit=2, after=first["next"])
    assert [row["name"] for row in second["data"]] == ["bob-2"] and not second["has_more"]


# --- conditions ---------------------------------------------------------------------------------------------------


async def test_a_change_needs_a_condition(console: Console) -> None:
    error = await console.refused("PUT", "upstreams/west", 428, json=WEST)
    assert error["code"] == "precondition_required"
    for wrong in ("17", "r17", '"r1', "* *"):
        error = await console.refused("PUT", "upstreams/west", 400, json=WEST, headers={"If-Match": wrong})
        assert error["param"] == "If-Match"
    assert console.parts.live.revision == 0


async def test_of_two_authors_the_second_sees_what_is_in_force(console: Console) -> None:
    seen = await console.client.get("keys/alice")
    assert seen.headers["etag"] == '"r0"' and seen.headers["x-parley-revision"] == "0"
    await done(console, "PATCH", "keys/alice", {"notes": "the first author's"}, match=seen.headers["etag"])
    answer = await console.client.patch(
        "keys/alice", json={"notes": "mine"}, headers={"If-Match": seen.headers["etag"]}
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["revision"]) == (412, "precondition_failed", 1)
    assert error["in_force"]["notes"] == "the first author's" and "alices-own" not in answer.text
    assert digest("alices-own-key-of-the-file") not in answer.text
    await done(console, "PATCH", "keys/alice", {"notes": "mine"}, match='"r0", W/"r1"')
    answer = await console.client.delete("keys/alice", headers={"If-Match": '"other"'})
    assert answer.status_code == 412 and caller(console, "alices-own-key-of-the-file").name == "alice"


async def test_authors_who_do_not_care_all_get_through(console: Console) -> None:
    answers = await asyncio.gather(
        *(done(console, "POST", "keys", {"name": f"key-{number}"}, status=201) for number in range(6))
    )
    assert len({answer.headers["x-parley-revision"] for answer in answers}) == 6
    assert len(console.parts.live.catalog.callers) == 7


# --- the whole ----------------------------------------------------------------------------------------------------


async def test_everything_is_told_with_who_says_it(console: Console) -> None:
    await done(console, "PATCH", "keys/alice", {"disabled": True})
    told = await console.get("config")
    assert (told["revision"], told["problem"], told["taken_away"]) == (1, None, [])
    assert told["keys"]["alice"]["source"] == "changes" and told["keys"]["alice"]["overrides"] == "file"
    assert told["credentials"]["east"]["spare"]["entry"]["value"].startswith("masked:")
    assert told["default_model"] == {"entry": "smart", "source": "environment", "overrides": None}
    schema = await console.get("config/schema")
    assert {"upstreams", "routes", "keys", "limits"} <= schema["properties"].keys()


async def test_changes_are_tried_without_being_made(console: Console) -> None:
    asked = {"changes": {"routes": {"clever": {"model": "clever", "targets": ["east/big"]}, "smart": None}}}
    answer = await console.client.post("config/validate", json=asked)
    assert [(one["place"], one["change"]) for one in answer.json()["differences"]] == [
        (["routes", "smart"], "removed"),
        (["routes", "clever"], "added"),
    ]
    assert console.parts.live.revision == 0
    for changes, param in [
        ({"routes": {"a": {"model": "b", "targets": ["east/big"]}}}, "routes.a"),
        ({"upstreams": {"east": {"provider": "bing"}}}, None),
        ({"credentials": {"east": {"spare": {"value": "masked:000000000000"}}}}, "credentials.east.spare.value"),
        ({"upstreams": {"x": {"provider": "openai", "nonsense": 1}}}, "upstreams.x.nonsense"),
    ]:
        error = await console.refused("POST", "config/validate", 400, json={"changes": changes})
        assert error["code"] == "configuration_refused" and error["param"] == param
    for shapeless in ({"nonsense": 1}, {"credentials": {"east": 5}}, {"routes": []}):
        assert (await console.refused("POST", "config/validate", 400, json={"changes": shapeless}))[
            "param"
        ] == "changes"


async def test_revisions_are_kept_compared_and_gone_back_to(console: Console) -> None:
    path = "upstreams/openai/credentials/openai-1"
    await done(console, "PUT", path, {"value": "rolled-secret-value"})
    await done(console, "DELETE", "limits/models/east/*", status=204)
    rows = (await console.get("revisions"))["data"]
    assert [(row["number"], row["what"], row["who"]) for row in rows] == [
        (2, "model_limit.delete east/*", "admin (203.0.113.7)"),
        (1, "credential.put openai/openai-1", "admin (203.0.113.7)"),
    ]
    one = await console.get("revisions/1")
    assert one["changes"]["credentials"]["openai"]["openai-1"]["value"].startswith("masked:")
    [difference] = (await console.get("revisions/1/diff"))["differences"]
    assert (difference["place"], difference["change"], difference["members"]) == (
        ["credentials", "openai", "openai-1"], "changed", ["value"],
    )  # fmt: skip
    assert difference["before"] != difference["after"] and "secret" not in json.dumps(difference)
    back = (await console.client.get("revisions/0/diff", params={"with": 2})).json()["differences"]
    assert [(one["place"][0], one["change"]) for one in back] == [("credentials", "changed"), ("limits", "added")]

    told = (await done(console, "POST", "revisions/1/rollback", match='"r2"')).json()
    assert told["revision"] == 3 and [one["place"] for one in told["differences"]] == [["limits", "east/*"]]
    assert parts_of(console, "openai")["openai-1"] == {"value": "rolled-secret-value"}
    await done(console, "POST", "revisions/0/rollback")
    assert parts_of(console, "openai")["openai-1"] == {"value": "openai-secret-of-the-environment"}
    assert (await console.refused("GET", "revisions/9", 404))["param"] == "number"
    assert (await console.refused("POST", "revisions/9/rollback", 404, headers=ANY))["param"] == "number"
    assert (await console.refused("GET", "revisions/1/diff", 404, params={"with": 9}))["param"] == "with"


async def test_going_back_gives_no_key_back_to_whoever_it_was_taken_from(console: Console) -> None:
    of_the_file = "alices-own-key-of-the-file"
    leaked = (await done(console, "POST", "keys", {"name": "leaked"}, status=201)).json()["key"]
    replaced = (await done(console, "POST", "keys", {"name": "replaced", "models": ["smart"]}, status=201)).json()[
        "key"
    ]
    await done(console, "PUT", "routes/clever", {"targets": ["east/big"]}, status=201)
    before = (await console.get("config"))["revision"]
    await done(console, "DELETE", "routes/clever", status=204)
    await done(console, "DELETE", "keys/leaked", status=204)
    await done(console, "DELETE", "keys/alice", status=204)
    new = (await done(console, "POST", "keys/replaced/rotate", {})).json()["key"]

    told = (await done(console, "POST", f"revisions/{before}/rollback")).json()
    assert [(one["place"], one["change"]) for one in told["differences"]] == [(["routes", "clever"], "added")]
    assert sorted((one["key"], one["because"]) for one in told["kept"]) == [
        ("alice", "deleted"), ("leaked", "deleted"), ("replaced", "rotated"),
    ]  # fmt: skip
    assert not any(caller(console, key) for key in (leaked, replaced, of_the_file))
    assert caller(console, new).models == ("smart",)
    [audited, *_] = (await console.get("audit"))["data"]
    assert audited["details"]["revoked_keys"] == "stay"

    told = (await done(console, "POST", f"revisions/{before}/rollback", {"revoked_keys": "come-back"})).json()
    assert told["kept"] == [] and all(caller(console, key) for key in (leaked, replaced, of_the_file))
    assert caller(console, new) is None
    wrong = await console.refused("POST", "revisions/1/rollback", 400, headers=ANY, json={"revoked_keys": "perhaps"})
    assert wrong["param"] == "revoked_keys"


@pytest.mark.parametrize("secrets", ["left-out", "passphrase", "parley-secret"])
async def test_an_archive_brings_everything_back(console: Console, secrets: str) -> None:
    passphrase = {"passphrase": "correct horse battery"} if secrets == "passphrase" else {}
    await done(console, "PUT", "upstreams/west", {**WEST, "credentials": {"a": {"value": "west-secret-a"}}}, status=201)
    key = (await done(console, "POST", "keys", {"name": "bob"}, status=201)).json()["key"]
    archive = (await console.client.post("config/export", json={"secrets": secrets, **passphrase})).json()
    assert "west-secret-a" not in json.dumps(archive) and digest(key) not in json.dumps(archive)
    if secrets == "left-out":
        stolen = {"west": {"b": archive["changes"]["credentials"]["west"]["a"]}}
        moved = {**archive, "changes": {"credentials": stolen}}
        error = await console.refused("POST", "config/import", 400, headers=ANY, json={"archive": moved})
        assert error["param"] == "credentials.west.b.value"
    else:
        await done(console, "POST", "revisions/0/rollback")
        assert caller(console, key) is None
    asked = {"archive": archive, **passphrase}
    answer = await console.client.post("config/import", json={**asked, "dry_run": True}, headers=ANY)
    tried = answer.json()
    assert answer.status_code == 200 and (secrets == "left-out") == (not tried["differences"])
    made = (await done(console, "POST", "config/import", asked)).json()
    assert made["differences"] == tried["differences"]
    assert caller(console, key).name == "bob" and parts_of(console, "west") == {"a": {"value": "west-secret-a"}}
    if secrets == "passphrase":
        asked["passphrase"] = "another horse battery"
        assert (await console.refused("POST", "config/import", 400, headers=ANY, json=asked))["param"] == "archive"


async def test_everything_can_be_moved_to_another_installation(
    console: Console, consoles: Consoles, redis: RedisServer, tmp_path: Path
) -> None:
    asked = {"what": "everything", "secrets": "passphrase", "passphrase": "correct horse battery"}
    archive = (await console.client.post("config/export", json=asked)).json()
    (tmp_path / "parley.yaml").unlink()
    other = await consoles(PARLEY_STATE_DIR=str(tmp_path / "elsewhere"), REDIS_URL=f"{redis.url.removesuffix('/0')}/1")
    answer = await other.client.post("config/validate", json={"changes": archive["changes"]})
    assert answer.status_code == 400, "its secrets were left out"
    await done(other, "POST", "config/import", {"archive": archive, "passphrase": "correct horse battery"})
    assert parts_of(other, "east") == {"east-1": {"value": "east-secret-one"}, "spare": {"value": "east-secret-two"}}
    assert caller(other, "alices-own-key-of-the-file").name == "alice"


async def test_what_became_unusable_can_be_repaired(console: Console, tmp_path: Path) -> None:
    """The file lost what the changes need: the old catalog stays, and the console says why and takes the repair."""
    await done(console, "PUT", "routes/clever", {"targets": ["east/big"]}, status=201)
    (tmp_path / "parley.yaml").write_text("keys: []")
    while not console.parts.live.problem:
        await asyncio.sleep(0.02)
    told = await console.get("config")
    assert "names the upstream 'east'" in told["problem"] and told["routes"]["clever"]["source"] == "changes"
    await done(console, "DELETE", "routes/clever", status=204)
    assert not console.parts.live.problem and "east" not in console.parts.live.catalog.upstreams
    (tmp_path / "parley.yaml").write_text("nonsense: 1")
    error = await console.refused("GET", "config", 503)
    assert error["code"] == "configuration_unusable" and "nonsense" in error["message"]


async def test_every_change_is_in_the_audit(console: Console) -> None:
    await done(console, "PUT", "upstreams/openai/credentials/a", {"value": "a-secret-value"}, status=201)
    await done(console, "POST", "keys", {"name": "bob"}, status=201)
    rows = (await console.get("audit"))["data"]
    assert [(row["what"], row["on"], row["client"], row["details"]["revision"]) for row in rows] == [
        ("key.create", "bob", "203.0.113.7", 2),
        ("credential.put", "openai/a", "203.0.113.7", 1),
    ]
    assert rows[1]["details"]["changed"] == ["credentials.openai.a"]

"""`parley credentials` and `parley upstreams` against a real console."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.services.command.conftest import Parley
from tests.stack.running import until

SECRET = "sk-canary-of-the-command-1234567890"


@pytest.fixture
def west(parley: Parley) -> Parley:
    """With an upstream that nobody listens at."""
    parley("upstreams", "put", "west", "--provider", "openai-compatible", "--base-url", "http://127.0.0.1:9/v1")
    return parley


def test_those_of_the_environment_are_listed(parley: Parley) -> None:
    rows = [row[:2] + row[-1:] for row in parley("credentials", "list", "openai").rows]
    assert rows == [["openai", "openai-1", "environment"], ["openai", "spare", "environment"]]


def test_a_secret_is_read_from_standard_input_and_never_shown(west: Parley) -> None:
    said = west("credentials", "add", "west", "main", stdin=f"{SECRET}\n")
    assert "west/main is lent from now on" in said.out
    for words in (
        ("credentials", "list"),
        ("credentials", "list", "--json"),
        ("upstreams", "show", "west"),
        ("config", "show", "--json"),
        ("config", "export"),
        ("config", "diff"),
    ):
        assert SECRET not in west(*words).out
    assert "masked:" in west("upstreams", "show", "west").out


def test_the_only_credential_of_nothing_gives_way_to_a_real_one(west: Parley) -> None:
    west("credentials", "add", "west", "main", stdin=SECRET)
    assert [row[1] for row in west("credentials", "list", "west").rows] == ["main"]


def test_a_secret_is_read_from_a_file_or_in_parts(west: Parley, tmp_path: Path) -> None:
    (tmp_path / "value").write_text(f"{SECRET}\n")
    west("credentials", "add", "west", "of-file", "--value-file", "value")
    west(
        "credentials",
        "add",
        "west",
        "of-json",
        stdin=json.dumps({"value": SECRET + "2", "proxy": "http://127.0.0.1:9"}),
    )
    assert "needs app_id, api_key" in west("upstreams", "put", "spark", "--provider", "spark", code=1).err
    west(
        "upstreams", "put", "spark", "--provider", "spark", "--credential", "app",
        "--part", "app_id", "--part", "api_key", "--part", "api_secret",
        stdin="an-app-id\nan-api-key-of-it\nan-api-secret-of-it\n",
    )  # fmt: skip
    found = west("upstreams", "list", "--json").json
    parts = {one["name"]: {each["alias"]: sorted(each["entry"]) for each in one["credentials"]} for one in found}
    assert parts["west"] == {"of-file": ["value"], "of-json": ["proxy", "value"]}
    assert parts["spark"] == {"app": ["api_key", "api_secret", "app_id"]}
    (tmp_path / "east.yaml").write_text(
        f"name: east\nprovider: openai-compatible\ncredentials: [{SECRET}3, {{value: {SECRET}4, alias: spare}}]\n"
    )
    west("upstreams", "put", "east", "--from-file", "east.yaml")
    assert [row[1] for row in west("credentials", "list", "east").rows] == ["east-1", "spare"]
    assert "credentials add" in west("upstreams", "put", "east", "--from-file", "east.yaml", code=2).err


def test_at_a_terminal_each_part_is_asked_for_without_an_echo(west: Parley, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or f"a-typed-{prompt}")
    west("credentials", "add", "west", "typed", terminal=True)
    west("credentials", "add", "west", "parts", "--part", "app_id", "--part", "api_key", terminal=True)
    assert asked == ["value: ", "app_id: ", "api_key: "]
    found = {
        each["alias"]: sorted(each["entry"]) for each in west("upstreams", "show", "west", "--json").json["credentials"]
    }
    assert found == {"typed": ["value"], "parts": ["api_key", "app_id"]}


@pytest.mark.parametrize(
    ("stdin", "words", "says"),
    [
        ("", (), "The value is empty"),
        ("two\nlines\n", (), "more than one line"),
        ('{"value": 3}', (), "must be texts"),
        ('{"value": "', (), "begins like a JSON object"),
        ("one", ("--part", "app_id", "--part", "api_key"), "2 lines are needed"),
        ("", ("--value-file", "nowhere"), "nowhere cannot be read"),
    ],
)
def test_what_is_no_secret_is_told(west: Parley, stdin: str, words: tuple[str, ...], says: str) -> None:
    assert says in west("credentials", "add", "west", "main", *words, stdin=stdin, code=2).err


def test_what_is_there_is_replaced_only_by_replace(west: Parley) -> None:
    west("credentials", "add", "west", "main", stdin=SECRET)
    assert "is there already" in west("credentials", "add", "west", "main", stdin=SECRET, code=1).err
    before = west("upstreams", "show", "west", "--json").json["credentials"][0]["entry"]
    west("credentials", "disable", "west", "main")
    west("credentials", "replace", "west", "main", stdin=SECRET + "2")
    after = west("upstreams", "show", "west", "--json").json["credentials"][0]["entry"]
    assert after["value"] != before["value"] and after["disabled"] is True
    assert "no credentials.west.other" in west("credentials", "replace", "west", "other", stdin=SECRET, code=1).err


def test_a_disabled_one_is_lent_to_nobody(parley: Parley) -> None:
    parley("credentials", "disable", "openai", "spare")
    assert parley("credentials", "list", "openai").rows[1][2] == "disabled"
    assert "2 (1 disabled)" in parley("upstreams", "list").out
    parley("credentials", "enable", "openai", "spare")
    assert parley("credentials", "list", "openai").rows[1][2] == "ok"


def test_a_removed_one_of_the_environment_stays_away_until_it_is_restored(parley: Parley) -> None:
    parley("credentials", "remove", "openai", "spare")
    assert [row[1] for row in parley("credentials", "list", "openai").rows] == ["openai-1"]
    assert "Taken away: credentials openai spare (of environment)." in parley("config", "show").out
    parley("config", "restore", "credentials", "openai", "spare")
    assert [row[1] for row in parley("credentials", "list", "openai").rows] == ["openai-1", "spare"]


def test_rests_begin_and_end(parley: Parley) -> None:
    said = parley("credentials", "rest", "openai", "spare", "--for", "10m", "--reason", "tired")
    assert said.out == "openai/spare rests for 10 min.\n"
    assert parley("credentials", "list", "openai").rows[1][2] == "rests 10 min: operator: tired"
    parley("credentials", "wake", "openai", "spare")
    assert "rests" not in parley("credentials", "list", "openai").out
    assert parley("credentials", "rest", "openai").out == "The upstream openai rests for 1 h.\n"
    until(lambda: "upstream openai  It rests" in parley("status", code=1).out)
    parley("credentials", "wake", "openai")
    assert "there is none" in parley("credentials", "rest", "openai", "nobody", code=1).err


def test_a_failed_test_ends_with_1(west: Parley) -> None:
    west("credentials", "add", "west", "main", stdin=SECRET)
    said = west("credentials", "test", "west", "main", code=1)
    assert said.rows[0][:3] == ["west", "main", "failed"] and "upstream_unreachable" in said.out
    assert west("credentials", "test", "west", "main", "--json", code=1).json[0]["result"] == "failed"
    assert "not tried" in west("credentials", "test", "echo").out
    assert "there is none" in west("credentials", "test", "west", "nobody", code=1).err


def test_who_cannot_be_tested_yet_says_nothing_of_the_others(west: Parley) -> None:
    west("credentials", "add", "west", "main", stdin=SECRET)
    entry = {"provider": "h2ogpte", "base_url": "http://127.0.0.1:9", "guests": 1}
    west("upstreams", "put", "doors", "--from-file", "-", stdin=json.dumps(entry))
    [place] = [row for row in west("credentials", "list").rows if row[0] == "doors"]
    said = west("credentials", "test", code=1)
    assert {tuple(row[:3]) for row in said.rows} >= {("doors", place[1], "not tried"), ("west", "main", "failed")}
    assert "no guest has signed in yet" in said.out
    (alone,) = west("credentials", "test", "doors", "--json").json
    assert (alone["result"], alone["failure"]) == ("not_tried", None)
    assert "no guest has signed in yet" in west("credentials", "test", "doors", place[1], code=1).err


def test_an_upstream_is_added_changed_and_removed(parley: Parley) -> None:
    said = parley("upstreams", "put", "west", "--base-url", "http://127.0.0.1:9/v1", code=2)
    assert "a new one needs --provider" in said.err
    parley("upstreams", "put", "west", "--provider", "echo", "--models", "a,b", "--rpm", "10")
    parley("upstreams", "put", "west", "--default-model", "a", "--concurrency", "3")
    entry = parley("upstreams", "show", "west", "--json").json["entry"]
    assert entry == {
        "provider": "echo", "models": ["a", "b"], "default_model": "a",
        "limits": {"requests_per_minute": 10, "concurrency": 3},
    }  # fmt: skip
    assert "10 rpm, 3 concurrency" in parley("upstreams", "list").out
    assert "there are:" in parley("upstreams", "put", "east", "--provider", "nobody", code=1).err
    assert parley("upstreams", "remove", "west").out == "west is asked no more.\n"
    assert "There is no upstreams.west" in parley("upstreams", "show", "west", code=1).err

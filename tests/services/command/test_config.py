"""`parley config` and `parley routes` against a real console, and `config validate` without one."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.services.command.conftest import KEY, Parley

CANARY = "sk-canary-of-an-archive-1234567890"


@pytest.fixture
def changed(parley: Parley) -> Parley:
    """With three changes on top of revision 0."""
    parley("upstreams", "put", "west", "--provider", "echo", "--models", "big")
    parley("routes", "put", "smart", "west/big")
    parley("keys", "create", "alice", "--models", "smart")
    return parley


def test_everything_is_shown_with_who_says_it(changed: Parley) -> None:
    rows = {(row[0], row[1]): row[2] for row in changed("config", "show").rows}
    assert rows["upstream", "openai"] == rows["credential", "openai/spare"] == "environment"
    assert rows["upstream", "west"] == rows["route", "smart"] == rows["key", "alice"] == "changes"
    assert rows["upstream", "echo"] == "built-in"


def test_a_revision_tells_what_it_changed(changed: Parley) -> None:
    whats = [row[-1] for row in changed("config", "revisions").rows[:3]]
    assert whats == ["key.create alice", "route.put smart", "upstream.put west"]
    newest = int(changed("config", "revisions").rows[0][0])
    assert changed("config", "diff").rows[0][:2] == ["+", "keys alice"]
    assert changed("config", "diff", str(newest - 1)).rows[0][:2] == ["+", "routes smart"]
    both = changed("config", "diff", str(newest - 2), str(newest))
    assert [row[:2] for row in both.rows] == [["+", "routes smart"], ["+", "keys alice"]]
    back = changed("config", "diff", str(newest), str(newest - 2), "--json").json
    assert [one["change"] for one in back["differences"]] == ["removed", "removed"]


def test_an_earlier_revision_comes_back(changed: Parley) -> None:
    newest = int(changed("config", "revisions").rows[0][0])
    said = changed("config", "rollback", str(newest - 1))
    assert said.rows[0][:2] == ["-", "keys alice"] and f"In force as revision {newest + 1}" in said.err
    assert "There are no keys" in changed("keys", "list").err
    assert "nothing was changed" in changed("config", "rollback", str(newest - 1)).err
    assert "There is no revision" in changed("config", "rollback", str(newest + 100), code=1).err


def test_a_key_that_was_given_up_stays_so_unless_it_is_wanted_back(changed: Parley) -> None:
    before = changed("config", "revisions").rows[0][0]
    changed("keys", "delete", "alice")
    assert "The key alice stays deleted." in changed("config", "rollback", before).err
    assert "There are no keys" in changed("keys", "list").err
    assert changed("config", "rollback", before, "--with-revoked-keys").rows[0][:2] == ["+", "keys alice"]
    assert changed("keys", "list").rows[0][0] == "alice"


def test_an_archive_comes_back_as_a_whole(changed: Parley, tmp_path: Path) -> None:
    changed("upstreams", "put", "east", "--provider", "openai-compatible", "--base-url", "http://127.0.0.1:9/v1")
    changed("credentials", "add", "east", "main", stdin=CANARY)
    (tmp_path / "passphrase").write_text("a long enough passphrase\n")
    sealed = ("--secrets", "passphrase", "--passphrase-file", "passphrase")
    changed("config", "export", *sealed, "-o", "archive.json")
    assert stat.S_IMODE((tmp_path / "archive.json").stat().st_mode) == 0o600
    assert CANARY not in (tmp_path / "archive.json").read_text()
    changed("config", "rollback", "0")

    before = changed("config", "show", "--json").json["revision"]
    dry = changed("config", "import", "archive.json", "--dry-run", "--passphrase-file", "passphrase")
    assert ["+", "keys alice"] in [row[:2] for row in dry.rows]
    assert changed("config", "show", "--json").json["revision"] == before
    changed("config", "import", "archive.json", "--passphrase-file", "passphrase")
    assert {row[0] for row in changed("upstreams", "list").rows} == {"east", "west", "openai", "echo"}
    (tmp_path / "passphrase").write_text("another passphrase altogether\n")
    said = changed("config", "import", "archive.json", "--passphrase-file", "passphrase", code=1)
    assert "another passphrase" in said.err
    assert "name a file with --passphrase-file" in changed("config", "import", "archive.json", code=2).err


def test_an_archive_without_secrets_says_which_are_missing(parley: Parley) -> None:
    parley("credentials", "replace", "openai", "spare", stdin=CANARY)
    archive = parley("config", "export").out
    assert "masked:" in archive and CANARY not in archive
    parley("config", "rollback", "0")
    said = parley("config", "import", "-", stdin=archive, code=1)
    assert "credentials.openai.spare" in said.err and "give the secret itself" in said.err


def test_routes_are_put_shown_and_removed(parley: Parley) -> None:
    said = parley(
        "routes", "put", "smart/*", "openai/big", "echo/echo", "--strategy", "weighted", "--weights", "3,1.5",
        "--fallback", "echo", "--aliases", "clever,bright", "--default", "temperature=0.2", "--default", "stop=[END]",
    )  # fmt: skip
    assert said.out == "smart/* leads to openai/big (3), echo/echo (1.5).\n"
    assert parley("routes", "show", "smart/*", "--json").json["entry"] == {
        "targets": [{"target": "openai/big", "weight": 3.0}, {"target": "echo/echo", "weight": 1.5}],
        "strategy": "weighted",
        "aliases": ["clever", "bright"],
        "fallback": ["echo"],
        "defaults": {"temperature": 0.2, "stop": ["END"]},
    }
    assert "model: smart/*" in parley("routes", "show", "smart/*").out
    assert "nowhere" in parley("routes", "put", "bad", "nowhere/x", code=1).err
    assert "at least one target" in parley("routes", "put", "bad", code=2).err
    assert "a weight for each" in parley("routes", "put", "bad", "echo/echo", "--weights", "1,2", code=2).err
    parley("routes", "remove", "smart/*")
    assert "There are no routes" in parley("routes", "list").err


def test_the_schema_is_printed_without_parley(nowhere: Parley) -> None:
    Draft202012Validator.check_schema(nowhere("config", "schema").json)


def test_what_can_be_used_is_said_to_be(nowhere: Parley, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-of-a-validation\n")
    (tmp_path / "parley.yaml").write_text(
        "upstreams: [{name: east, provider: echo, models: [big]}]\nroutes: [{model: smart, targets: [east/big]}]\n"
        f"keys: [{{name: alice, key: {KEY}}}]\n"
    )
    said = nowhere("config", "validate")
    assert said.out.splitlines()[-1] == "The configuration can be used."
    assert nowhere("config", "validate", "--json").json["counts"] == {
        "upstreams": 3, "credentials": 3, "routes": 1, "keys": 1
    }  # fmt: skip
    assert KEY not in said.out


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("routes: [{model: smart, targets: [nowhere/x]}]", "route 'smart' names the upstream 'nowhere'"),
        ("upstreams: [{name: east}]", "upstreams.0.provider: Field required"),
        ("upstreams: [{name: east, provider: nobody}]", "'nobody'; there are:"),
        ("upstreams: [{name: east, provider: openai, options: {loud: true}}]", "unknown field `loud`"),
        ("routes: [", "not valid YAML at line 1"),
        ("keys: [{name: alice, key: '${NO_SUCH_KEY}'}]", "NO_SUCH_KEY"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(nowhere: Parley, tmp_path: Path, file: str, says: str) -> None:
    (tmp_path / "parley.yaml").write_text(file)
    assert says in nowhere("config", "validate", code=1).out
    told = nowhere("config", "validate", "--json", code=1).json
    assert told["valid"] is False and says in told["problem"]


def test_a_file_is_checked_before_it_is_put_in_its_place(nowhere: Parley, tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text("routes: [{model: smart, targets: [nowhere/x]}]")
    assert nowhere("config", "validate").code == 0
    assert "new.yaml" in nowhere("config", "validate", "new.yaml", code=1).out
    assert "no file" in nowhere("config", "validate", "old.yaml", code=2).err


def test_the_folder_of_compose_is_read_as_make_run_reads_it(nowhere: Parley, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "parley.yaml").write_text("default_model: 'a*'")
    assert "is a pattern" in nowhere("config", "validate", code=1).out


def test_a_bad_setting_is_told_without_its_value(nowhere: Parley, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTEMPTS", "99-canary")
    said = nowhere("config", "validate", code=1)
    assert "ATTEMPTS" in said.out and "canary" not in said.out


def test_json_is_json_wherever_it_is_asked_for(changed: Parley) -> None:
    for words in (
        ("keys", "list"), ("keys", "show", "alice"), ("credentials", "list"), ("upstreams", "list"),
        ("upstreams", "show", "west"), ("routes", "list"), ("routes", "show", "smart"), ("limits", "list"),
        ("limits", "models"), ("usage",), ("usage", "model", "--series"), ("config", "show"), ("config", "revisions"),
        ("config", "diff"), ("keys", "disable", "alice"), ("routes", "remove", "smart"), ("keys", "delete", "alice"),
    ):  # fmt: skip
        json.loads(changed(*words, "--json").out)

"""`parley audit`, `prices`, `settings` against a real console; and `requests` where there were none."""

from __future__ import annotations

from pathlib import Path

from tests.services.command.conftest import Parley

PRICES = """
prices:
  currency: EUR
  models: [{model: big-*, prompt: 1.25, completion: 10, cached: 0.125}, {model: "*", prompt: 0.5, completion: 1.5}]
"""


def test_the_audit_tells_who_changed_what(parley: Parley) -> None:
    parley("keys", "create", "audited")
    parley("credentials", "rest", "openai", "spare", "--for", "1h", "--reason", "maintenance")
    parley("credentials", "wake", "openai", "spare")
    wake, rest, create = parley("audit", "--last", "3").rows
    assert create[1:4] == ["admin", "key.create", "audited"] and "keys.audited" in create
    assert rest[2:4] == ["credential.rest", "openai/spare"] and "reason maintenance" in " ".join(rest)
    assert wake[2] == "credential.rest.end"
    assert {one["what"] for one in parley("audit", "credential.rest", "--json").json} <= {
        "credential.rest", "credential.rest.end",
    }  # fmt: skip
    assert parley("audit", "key.create", "--last", "1", "--json").json[0]["on"] == "audited"
    assert "Nothing of the kind" in parley("audit", "nothing").err
    assert "is no number such as 20" in parley("audit", "--last", "0", code=2).err


def test_prices_are_put_shown_and_removed(parley: Parley, tmp_path: Path) -> None:
    assert "Nothing has a price" in parley("prices", "show").err
    (tmp_path / "prices.yaml").write_text(PRICES)
    assert parley("prices", "put", "prices.yaml").rows == [
        ["big-*", "1.25", "10", "0.125", "EUR", "changes"],
        ["*", "0.5", "1.5", "EUR", "changes"],
    ]
    assert parley("prices", "show", "--json").json["entry"]["currency"] == "EUR"
    said = parley("prices", "put", "-", code=1, stdin="models: [{model: big, prompt: -1, completion: 1}]")
    assert "models.0.prompt" in said.err
    assert len(parley("prices", "show").rows) == 2, "a bad table changes nothing"
    parley("prices", "remove")
    assert "Nothing has a price" in parley("prices", "show").err


def test_the_default_model_is_shown_and_changed(parley: Parley) -> None:
    assert parley("settings", "show").rows == [["default model", "none", "built-in"]]
    assert parley("settings", "change", "--default-model", "echo/echo").rows == [
        ["default model", "echo/echo", "changes"]
    ]
    assert "is a pattern" in parley("settings", "change", "--default-model", "e*", code=1).err
    assert parley("settings", "show", "--json").json["default_model"]["value"] == "echo/echo"
    assert parley("settings", "change", "--default-model", "none").rows == [["default model", "none", "changes"]]


def test_requests_of_nobody(parley: Parley) -> None:
    assert "There is no such request" in parley("requests", "--outcome", "failed").err
    assert parley("requests", "--json").json == []
    assert "There is no record of this request" in parley("requests", "nobodys-id", code=1).err
    assert "An id says which" in parley("requests", "an-id", "--caller", "alice", code=2).err

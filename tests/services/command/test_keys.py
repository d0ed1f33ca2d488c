"""`parley keys` against a real console."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.services.command.conftest import Parley

KEY = re.compile(r"sk-parley-[\w-]{43}")


def test_a_key_is_given_out_once(parley: Parley) -> None:
    said = parley("keys", "create", "alice", "--owner", "Alice", "--models", "gpt-5*,smart", "--rpm", "60")
    [key] = KEY.findall(said.out)
    assert "not shown again" in said.out
    for words in (("list",), ("show", "alice")):
        for more in ((), ("--json",)):
            told = parley("keys", *words, *more)
            assert key not in told.out + told.err
            assert key[:18] in told.out
    assert parley("keys", "list").rows == [["alice", key[:18], "ok", "Alice", "gpt-5*, smart", "60 rpm", "changes"]]


def test_quiet_prints_the_key_alone(parley: Parley) -> None:
    said = parley("keys", "create", "ci", "--quiet")
    assert KEY.fullmatch(said.out.strip()) and said.err == ""
    again = parley("keys", "rotate", "ci", "--quiet")
    assert KEY.fullmatch(again.out.strip()) and again.out != said.out


def test_the_same_name_is_refused(parley: Parley) -> None:
    parley("keys", "create", "alice")
    said = parley("keys", "create", "alice", code=1)
    assert "There is a key 'alice' already" in said.err and said.out == ""


def test_what_may_be_said_of_a_key_is_said(parley: Parley) -> None:
    parley(
        "keys", "create", "all", "--notes", "for tests", "--networks", "10.0.0.0/8,2001:db8::/32", "--expires", "30d",
        "--contents", "--rpd", "1000", "--tpm", "2000", "--tpd", "3000", "--concurrency", "4",
        "--budget", "20.5/month", "--budget", "500000tokens/day",
    )  # fmt: skip
    entry = parley("keys", "show", "all", "--json").json["entry"]
    assert entry.pop("expires").startswith(time.strftime("%Y-", time.gmtime(time.time() + 30 * 86400)))
    assert entry == {
        "notes": "for tests",
        "networks": ["10.0.0.0/8", "2001:db8::/32"],
        "contents": True,
        "limits": {
            "requests_per_day": 1000,
            "tokens_per_minute": 2000,
            "tokens_per_day": 3000,
            "concurrency": 4,
            "budgets": [
                {"unit": "money", "amount": 20.5, "period": "month"},
                {"unit": "tokens", "amount": 500000.0, "period": "day"},
            ],
        },
    }
    shown = parley("keys", "show", "all").out
    assert "budget, day        0 of 500,000 tokens, until " in shown
    assert "concurrency        0 of 4" in shown


def test_a_change_leaves_alone_what_it_does_not_mention(parley: Parley) -> None:
    parley("keys", "create", "alice", "--owner", "Alice", "--rpm", "60", "--budget", "20/month", "--expires", "30d")
    parley("keys", "change", "alice", "--tpm", "1000", "--expires", "never", "--models", "smart")
    entry = parley("keys", "show", "alice", "--json").json["entry"]
    assert entry["owner"] == "Alice" and entry["models"] == ["smart"] and "expires" not in entry
    assert entry["limits"]["requests_per_minute"] == 60 and entry["limits"]["tokens_per_minute"] == 1000
    assert entry["limits"]["budgets"]
    parley("keys", "change", "alice", "--models", "all", "--budget", "none", "--rpm", "0")
    entry = parley("keys", "show", "alice", "--json").json["entry"]
    assert entry["models"] == [] and entry["limits"] == {
        "requests_per_minute": 0, "tokens_per_minute": 1000, "budgets": []
    }  # fmt: skip


def test_a_change_that_changes_nothing_is_no_command(parley: Parley) -> None:
    parley("keys", "create", "alice")
    assert "Say what to change" in parley("keys", "change", "alice", code=2).err


def test_keys_are_disabled_and_enabled_and_deleted(parley: Parley) -> None:
    for name in ("alice", "bob"):
        parley("keys", "create", name)
    assert parley("keys", "disable", "alice", "bob").out == "alice, bob are refused.\n"
    assert [row[2] for row in parley("keys", "list").rows] == ["disabled", "disabled"]
    assert parley("keys", "enable", "bob").out == "bob is accepted again.\n"
    assert [row[2] for row in parley("keys", "list").rows] == ["disabled", "ok"]
    assert parley("keys", "delete", "alice", "bob").out == "alice, bob are revoked.\n"
    assert "There are no keys" in parley("keys", "list").err
    assert "There is no keys.alice" in parley("keys", "show", "alice", code=1).err


def test_at_a_terminal_it_asks_before_it_revokes(parley: Parley, monkeypatch: pytest.MonkeyPatch) -> None:
    parley("keys", "create", "alice")
    for answer, code in (("", 1), ("n", 1), ("yes", 0)):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        said = parley("keys", "delete", "alice", code=code, terminal=True)
        assert ("Nothing was done" in said.err) is bool(code)
    assert "There are no keys" in parley("keys", "list").err


def test_a_rotated_key_says_how_long_the_old_one_is_good(parley: Parley) -> None:
    parley("keys", "create", "alice")
    assert "good for 1 h more" in parley("keys", "rotate", "alice", "--grace", "1h").out
    assert parley("keys", "show", "alice", "--json").json["previous_until"] == pytest.approx(time.time() + 3600, abs=60)
    assert "good until" in parley("keys", "show", "alice").out
    assert "refused from now on" in parley("keys", "rotate", "alice").out


def test_an_entry_comes_from_a_file(parley: Parley, tmp_path: Path) -> None:
    (tmp_path / "alice.yaml").write_text("owner: Alice\nlimits: {requests_per_minute: 5, concurrency: 2}\n")
    parley("keys", "create", "alice", "--from-file", "alice.yaml", "--rpm", "6")
    entry = parley("keys", "show", "alice", "--json").json["entry"]
    assert entry == {"owner": "Alice", "limits": {"requests_per_minute": 6, "concurrency": 2}}
    assert "standard input is neither YAML nor JSON at line" in parley(
        "keys", "create", "bob", "--from-file", "-", code=2, stdin="a: [\n"
    ).err  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--rpm", "-1"), "not negative"),
        (("--budget", "20"), "is no budget such as"),
        (("--budget", "20/fortnight"), "is no budget such as"),
        (("--expires", "soon"), "is no moment such as"),
    ],
)
def test_what_makes_no_sense_is_told_before_anybody_is_asked(
    nowhere: Parley, words: tuple[str, ...], says: str
) -> None:
    assert says in nowhere("keys", "create", "alice", *words, code=2).err


def test_what_parley_refuses_is_told_with_its_place(parley: Parley) -> None:
    said = parley("keys", "create", "alice", "--networks", "10.0.0.300", code=1)
    assert "networks" in said.err and said.out == ""
    assert "master" in parley("keys", "create", "master", code=1).err

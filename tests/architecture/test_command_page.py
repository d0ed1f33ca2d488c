"""docs/command.md has every command as it is, and no command takes a secret that a shell would remember."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from command.parser import parser

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def writer() -> Any:
    spec = importlib.util.spec_from_file_location("command_page", ROOT / "deploy" / "command_page.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_new(writer: Any) -> None:
    assert writer.PAGE.read_text("utf-8") == writer.text(), "run `make docs`"


def test_every_word_says_what_it_means(writer: Any) -> None:
    for name, leaf in writer.leaves(parser()):
        for action in leaf._actions:
            assert action.help, f"{name} {action.dest}"
            action.help % {"prog": name, "default": action.default}  # a stray % breaks --help


def test_every_command_has_a_help(writer: Any) -> None:
    names = dict(writer.leaves(parser()))
    assert len(names) > 40
    for name, leaf in names.items():
        assert leaf.format_help().startswith(f"usage: {name}")


def test_no_option_takes_a_secret_itself(writer: Any) -> None:
    """`--admin-key-file`, `--value-file` and the like take the name of a file."""
    for name, leaf in writer.leaves(parser()):
        for word in (word for action in leaf._actions for word in action.option_strings):
            assert not re.search(r"-(key|value|secrets?|passphrase|token|password)$", word) or (
                word == "--secrets"  # of an archive: what becomes of them
            ), f"{name} {word}"


def test_commands_that_the_pages_print_are_understood() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = {
        line.partition("#")[0].partition(" < ")[0].partition(" && ")[0].strip()
        for page in pages
        for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        for line in block.splitlines()
        if line.startswith("parley ")
    }
    assert len(shown) >= 7
    for line in shown:
        parser().parse_args(line.split()[1:])

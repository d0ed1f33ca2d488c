"""Writes docs/command.md from the words that `parley` understands: `python deploy/command_page.py`, or with `--print`.

Not from its help texts, which every version of Python lays out in another way. tests/architecture/test_command_page.py
says when the page is old.
"""

from __future__ import annotations

import argparse
import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from command.menu import described
from command.parser import parser

PAGE = Path(__file__).resolve().parents[1] / "docs" / "command.md"
PROSE = Path(__file__).with_name("command_page.md")
SHARED = ("--url", "--admin-key-file", "--json")
"""What all commands take that ask the admin API; told once."""


def text() -> str:
    """The page as it should be."""
    page = PROSE.read_text("utf-8").replace("<!-- commands -->\n", "\n".join(_page(parser())))
    return re.sub(r"\n{3,}", "\n\n", page).rstrip("\n") + "\n"


def leaves(words: ArgumentParser, name: str = "parley") -> Iterator[tuple[str, ArgumentParser]]:
    """Every command by its whole name, in the order of the help."""
    inner = commands(words)
    if not inner:
        yield name, words
    for word, under in inner.items():
        yield from leaves(under, f"{name} {word}")


def commands(words: ArgumentParser) -> dict[str, ArgumentParser]:
    """The commands below a word."""
    found = [action for action in words._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


def _page(root: ArgumentParser) -> Iterator[str]:
    says = {choice.dest: choice.help for choice in _choices(root)}
    for word, words in commands(root).items():
        inner = commands(words)
        yield f"\n## parley {word}\n"
        yield f"{words.description or described(says[word] or '')}\n"
        if inner:
            yield from (line for name, leaf in inner.items() for line in _command(f"parley {word} {name}", leaf))
        else:
            yield from _usage(f"parley {word}", words)


def _choices(words: ArgumentParser) -> list[argparse.Action]:
    found = [action for action in words._actions if isinstance(action, argparse._SubParsersAction)]
    return list(found[0]._choices_actions)


def _command(name: str, words: ArgumentParser) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"{words.description}\n"
    yield from _usage(name, words)


def _usage(name: str, words: ArgumentParser) -> Iterator[str]:
    own = [
        action for action in words._actions if action.dest != "help" and not set(action.option_strings) & set(SHARED)
    ]
    if name in ("parley up", "parley doctor"):  # their --url and --json are their own
        own = [action for action in words._actions if action.dest != "help"]
    named = [_named(action) for action in own if not action.option_strings]
    options = " [OPTIONS]" if any(action.option_strings for action in own) else ""
    yield f"```\n{' '.join([name, *named])}{options}\n```\n"
    if own:
        yield "| | |\n|---|---|"
        yield from (f"| {_words(action)} | {_sentence(action.help or '')} |" for action in own)
        yield ""


def _named(action: argparse.Action) -> str:
    name = _metavar(action)
    return {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} ..."}.get(str(action.nargs), name)


def _words(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_metavar(action)}`"
    value = "" if action.nargs == 0 else f" {_metavar(action)}"
    return ", ".join(f"`{word}{value}`" for word in action.option_strings)


def _metavar(action: argparse.Action) -> str:
    if action.choices is not None and action.metavar is None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _sentence(text: str) -> str:
    return text.replace("%%", "%").replace("|", "\\|")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--print", action="store_true", help="to standard output")
    if arguments.parse_args().print:
        sys.stdout.write(text())
    else:
        PAGE.write_text(text(), "utf-8")

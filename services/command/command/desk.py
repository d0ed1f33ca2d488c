"""Where a command works: what was asked for, what is known of the surroundings, Parley itself, and who reads."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from command.asking import Front
from command.outcomes import Refused
from command.reading import first_line
from command.surroundings import KEY_NAMES, front_door
from command.telling import Telling
from parley.sealed import Secret


class Desk:
    """Of one command."""

    def __init__(self, wishes: Namespace, settings: Mapping[str, str]) -> None:
        self.wishes = wishes
        self.settings = settings
        self.telling = Telling(as_json=wishes.json)

    @cached_property
    def front(self) -> Front:
        """Parley, at --url, else PARLEY_URL, else where `parley up` listens. Raises Misused."""
        return Front(self.wishes.url or front_door(self.settings), self._admin(), self._caller())

    def close(self) -> None:
        """Hang up, if anybody was asked."""
        if "front" in self.__dict__:
            self.front.close()

    def tell(self, answer: Any, sentence: str) -> None:
        """What was done: the answer for a program, a sentence for a person."""
        if self.telling.as_json:
            self.telling.json(answer)
        else:
            self.telling.say(sentence)

    def sure(self, question: str) -> None:
        """Ask whoever is at the terminal, unless --yes was said. Raises Refused for a no."""
        if self.wishes.yes or not sys.stdin.isatty():
            return
        if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
            raise Refused("Nothing was done.")

    def _admin(self) -> Secret | None:
        if self.wishes.admin_key_file is not None:
            return first_line(self.wishes.admin_key_file)
        value = self.settings.get("ADMIN_KEY")
        return Secret(value) if value else None

    def _caller(self) -> Secret | None:
        if getattr(self.wishes, "key_file", None) is not None:
            return first_line(self.wishes.key_file)
        value = next((self.settings[name] for name in KEY_NAMES if self.settings.get(name)), None)
        return Secret(value) if value else None

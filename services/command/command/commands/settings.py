"""`parley settings`: what is no entry of its own."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, Final

from command.desk import Desk
from command.menu import Menu

HELP: Final = "what else can be set while Parley runs: who serves model names that nobody knows"
MORE: Final = "All other settings are read at the start (docs/configuration.md)."


def arguments(menu: Menu) -> None:
    """What the group understands."""
    menu.add("show", show_settings, "the settings in force, and who says them")
    change = menu.add("change", change_settings, "change a setting")
    change.add_argument(
        "--default-model",
        required=True,
        metavar="MODEL",
        help="a route, a model or upstream/model that serves unknown and missing names; none: nobody does",
    )


def show_settings(_wishes: Namespace, desk: Desk) -> None:
    """The settings."""
    _told(desk, desk.front.get("settings"))


def change_settings(wishes: Namespace, desk: Desk) -> None:
    """Change them."""
    model = None if wishes.default_model == "none" else wishes.default_model
    _told(desk, desk.front.send("PATCH", "settings", body={"default_model": model}))


def _told(desk: Desk, found: dict[str, Any]) -> None:
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    default = found["default_model"]
    desk.telling.table(
        ("SETTING", "IS", "FROM", "INSTEAD OF"),
        [("default model", default["value"] or "none", default["source"], default["overrides"])],
        nothing="",
    )

"""`parley keys`: who may call."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from command.desk import Desk
from command.limiting import limit_arguments, limits_of, limits_said
from command.menu import Menu, confirmed
from command.outcomes import Misused, Refused
from command.reading import ahead, facts, seconds, several
from command.telling import Cell, Toned, moment, span
from parley.clock import now

HELP: Final = "who may call: give out keys, change, rotate, disable and delete them"
MORE: Final = (
    "A key is shown once, when it is made, and kept as a hash. Usage and limits go by its name, which never changes."
)


def arguments(menu: Menu) -> None:
    """What the group understands."""
    listing = menu.add("list", list_keys, "all keys")
    listing.add_argument("--owner", help="only those of this owner")
    show = menu.add("show", show_key, "one key, and how full its limits are")
    _named(show)
    create = menu.add("create", create_key, "give out a key", "It is printed once, and known to nobody afterwards.")
    _named(create)
    _facts(create)
    _quiet(create)
    change = menu.add("change", change_key, "change what a key may", "What is not mentioned stays as it is.")
    _named(change)
    _facts(change)
    rotate = menu.add("rotate", rotate_key, "replace a key by another one of the same name, limits and usage")
    _named(rotate)
    rotate.add_argument(
        "--grace", type=seconds, default=0.0, metavar="TIME", help="how long the old key is good, too: 90s, 12h, 7d (0)"
    )
    _quiet(rotate)
    for name, disabled, says in (("disable", True, "refuse keys for now"), ("enable", False, "accept keys again")):
        switch = menu.add(name, switch_keys, says)
        switch.add_argument("names", nargs="+", metavar="NAME", help="of a key")
        switch.set_defaults(disabled=disabled)
    delete = menu.add("delete", delete_keys, "revoke keys for good, everywhere within a second")
    delete.add_argument("names", nargs="+", metavar="NAME", help="of a key")
    confirmed(delete)


def list_keys(wishes: Namespace, desk: Desk) -> None:
    """All keys."""
    found = list(desk.front.every("keys", owner=wishes.owner))
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    desk.telling.table(
        ("NAME", "PREFIX", "STATE", "OWNER", "MODELS", "LIMITS", "EXPIRES", "FROM"),
        [
            (
                key["name"],
                key["prefix"],
                _state(key),
                key["entry"].get("owner"),
                ", ".join(key["entry"].get("models", ())) or "all",
                limits_said(key["entry"].get("limits")),
                _expires(key["entry"]),
                key["source"],
            )
            for key in found
        ],
        nothing="There are no keys. `parley keys create NAME` makes one.",
    )


def show_key(wishes: Namespace, desk: Desk) -> None:
    """One key."""
    key = desk.front.get("keys", wishes.name)
    limits = _fullness(desk, wishes.name)
    if desk.telling.as_json:
        desk.telling.json({**key, "limits": limits})
        return
    entry = key["entry"]
    rows: list[tuple[str, Cell]] = [
        ("name", key["name"]),
        ("state", _state(key)),
        ("prefix", key["prefix"]),
        ("owner", entry.get("owner")),
        ("notes", entry.get("notes")),
        ("models", ", ".join(entry.get("models", ())) or "all"),
        ("networks", ", ".join(entry.get("networks", ())) or "any"),
        ("expires", _expires(entry) or "never"),
        ("contents", "logged" if entry.get("contents") else ""),
        ("made", moment(key["created"])),
        ("rotated", moment(key["rotated"])),
        ("old key", f"good until {moment(key['previous_until'])}" if key["previous_until"] else ""),
        ("from", key["source"]),
    ]
    for name, use in (limits or {}).items():
        if isinstance(use, dict) and "used" in use:
            rows.append((name.replace("_", " "), f"{use['used']:,} of {use['limit']:,}"))
    for budget in (limits or {}).get("budgets", ()):
        ends = f", until {moment(budget['ends'])}" if budget["ends"] else ""
        unit = " tokens" if budget["unit"] == "tokens" else ""
        used = f"{budget['spent']:,g} of {budget['amount']:,g}{unit}"
        rows.append((f"budget, {budget['period']}", used + ends))
    desk.telling.facts(rows)


def create_key(wishes: Namespace, desk: Desk) -> None:
    """Give out a key."""
    made = desk.front.send("POST", "keys", body={"name": wishes.name, **_said(wishes)})
    _handed_over(desk, made, f"{wishes.name} may call. This is the key; it is not shown again:")


def change_key(wishes: Namespace, desk: Desk) -> None:
    """Change what a key may."""
    if not (patch := _said(wishes)):
        raise Misused("Say what to change, such as --rpm 60 or --expires 30d.")
    changed = desk.front.send("PATCH", "keys", wishes.name, body=patch)
    desk.tell(changed, f"{wishes.name} is changed: {', '.join(patch)}.")


def rotate_key(wishes: Namespace, desk: Desk) -> None:
    """Replace a key. Who was faster is not overtaken: then there is another key by now, and it is somebody's."""
    front, name = desk.front, wishes.name
    seen = front.seen("keys", name)
    try:
        made = front.send("POST", "keys", name, "rotate", body={"grace": wishes.grace}, upon=seen.etag)
    except Refused as refusal:
        again = front.seen("keys", name)
        if not refusal.stale or again.body != seen.body:
            raise
        made = front.send("POST", "keys", name, "rotate", body={"grace": wishes.grace}, upon=again.etag)
    old = f"good for {span(wishes.grace)} more" if wishes.grace else "refused from now on"
    _handed_over(desk, made, f"{name} has another key; the old one is {old}. This is the new one, not shown again:")


def switch_keys(wishes: Namespace, desk: Desk) -> None:
    """Disable or enable keys."""
    changed = [
        desk.front.send("PATCH", "keys", name, body={"disabled": wishes.disabled})
        for name in dict.fromkeys(wishes.names)
    ]
    state = "refused" if wishes.disabled else "accepted again"
    desk.tell(changed, f"{_listed(wishes.names)} {state}.")


def delete_keys(wishes: Namespace, desk: Desk) -> None:
    """Revoke keys."""
    names = list(dict.fromkeys(wishes.names))
    desk.sure(f"Revoke {', '.join(names)} for good?")
    for name in names:
        desk.front.send("DELETE", "keys", name)
    desk.tell({"deleted": names}, f"{_listed(names)} revoked.")


def _named(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the key: letters, digits, `.`, `_`, `-`")


def _quiet(parser: ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print the key alone")


def _facts(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("the key")
    group.add_argument("--owner", help="whose it is, for people")
    group.add_argument("--notes", help="what else is to be known, for people")
    group.add_argument(
        "--models",
        type=several,
        metavar="A,B*",
        help="models and routes that it may ask for, names or patterns; all: any of them",
    )
    group.add_argument(
        "--networks", type=several, metavar="CIDR,...", help="where it may call from, such as 10.0.0.0/8; any: anywhere"
    )
    group.add_argument("--expires", type=ahead, metavar="TIME", help="when it ends: 2027-01-01, or 30d from now; never")
    for word, disabled, says in (("--contents", True, "log"), ("--no-contents", False, "do not log")):
        group.add_argument(
            word, dest="contents", action="store_const", const=disabled, help=f"{says} what is said with it"
        )
    group.add_argument(
        "--from-file", type=Path, metavar="FILE", help="an entry as in parley.yaml (YAML or JSON; -: standard input)"
    )
    limit_arguments(parser)


def _said(wishes: Namespace) -> dict[str, Any]:
    said = facts(wishes.from_file) if wishes.from_file else {}
    for name in ("owner", "notes", "models", "networks", "contents"):
        if (value := getattr(wishes, name)) is not None:
            said[name] = value
    if wishes.expires is not None:
        said["expires"] = wishes.expires or None
    if limits := limits_of(wishes):
        said["limits"] = {**said.get("limits", {}), **limits}
    return said


def _handed_over(desk: Desk, made: Mapping[str, Any], sentence: str) -> None:
    if desk.telling.as_json:
        desk.telling.json(made)
    elif desk.wishes.quiet:
        desk.telling.say(made["key"])
    else:
        desk.telling.say(f"{sentence}\n\n  {made['key']}\n")


def _fullness(desk: Desk, name: str) -> Any:
    try:
        return desk.front.get("limits", f"key:{name}")
    except Refused as refusal:
        if refusal.status == 404:  # it has none
            return None
        raise


def _state(key: Mapping[str, Any]) -> Toned:
    entry = key["entry"]
    if entry.get("disabled"):
        return Toned("disabled", "bad")
    expires = entry.get("expires")
    if expires and datetime.fromisoformat(expires).timestamp() < now():
        return Toned("expired", "bad")
    return Toned("bound", "odd") if key["bound"] else Toned("ok", "good")


def _expires(entry: Mapping[str, Any]) -> str:
    expires = entry.get("expires")
    return moment(datetime.fromisoformat(expires).timestamp()) if expires else ""


def _listed(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"

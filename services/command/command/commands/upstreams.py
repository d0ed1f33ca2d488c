"""`parley upstreams`: the places that are asked for answers."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from command.commands.credentials import secret_arguments
from command.desk import Desk
from command.limiting import limit_arguments, limits_of, limits_said
from command.menu import Menu, confirmed
from command.outcomes import Misused
from command.reading import facts, secret_parts, several
from command.telling import Cell, Toned

HELP: Final = "places that are asked for answers: see, add, change and remove them"
MORE: Final = "Those of the environment and of parley.yaml are here, too, and can be changed or taken away."


def arguments(menu: Menu) -> None:
    """What the group understands."""
    menu.add("list", list_upstreams, "all upstreams, with their credentials")
    show = menu.add("show", show_upstream, "one upstream as it is configured, secrets masked")
    _named(show)
    put = menu.add(
        "put",
        put_upstream,
        "add an upstream, or change one",
        "What is not mentioned stays as it is. More credentials: `parley credentials add`.",
    )
    _named(put)
    put.add_argument("--provider", help="what kind of service it is (docs/upstreams.md); needed for a new one")
    put.add_argument("--base-url", metavar="URL", help="its address, with the path of its API")
    put.add_argument("--models", type=several, metavar="A,B", help="model ids known without asking")
    put.add_argument("--default-model", metavar="MODEL", help="for requests that name none")
    put.add_argument(
        "--from-file", type=Path, metavar="FILE", help="an entry as in parley.yaml (YAML or JSON; -: standard input)"
    )
    put.add_argument(
        "--credential", metavar="ALIAS", help="a new one's first credential; its secret is read as by `credentials add`"
    )
    secret_arguments(put)
    limit_arguments(put)
    remove = menu.add("remove", remove_upstream, "take an upstream away, with its credentials")
    _named(remove)
    confirmed(remove)


def list_upstreams(_wishes: Namespace, desk: Desk) -> None:
    """All upstreams."""
    found = list(desk.front.every("upstreams"))
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    desk.telling.table(
        ("NAME", "PROVIDER", "ADDRESS", "CREDENTIALS", "MODELS", "LIMITS", "FROM"),
        [
            (
                one["name"],
                one["entry"].get("provider"),
                one["entry"].get("base_url"),
                _credentials(one),
                ", ".join(one["entry"].get("models", ())),
                limits_said(one["entry"].get("limits")),
                one["source"],
            )
            for one in found
        ],
        nothing="There are no upstreams.",
    )


def show_upstream(wishes: Namespace, desk: Desk) -> None:
    """One upstream."""
    found = desk.front.get("upstreams", wishes.name)
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    credentials: list[Any] = [
        {"alias": one["alias"], **({"guest": True} if one["guest"] else {}), **one["entry"]}
        for one in found["credentials"]
    ]
    desk.telling.facts([("from", found["source"]), ("instead of", found["overrides"])])
    desk.telling.say(as_yaml({"name": found["name"], **found["entry"], "credentials": credentials}))


def put_upstream(wishes: Namespace, desk: Desk) -> None:
    """Add an upstream, or change one."""
    said = _said(wishes)
    known = {one["name"] for one in desk.front.every("upstreams")}
    if wishes.name in known:
        if wishes.credential is not None or "credentials" in said:
            raise Misused(f"{wishes.name} is there already: parley credentials add.")
        if not said:
            raise Misused("Say what to change, such as --base-url or --models.")
        changed = desk.front.send("PATCH", "upstreams", wishes.name, body=said)
        desk.tell(changed, f"{wishes.name} is changed: {', '.join(said)}.")
        return
    if "provider" not in said:
        raise Misused(f"There is no upstream {wishes.name} yet; a new one needs --provider.")
    if wishes.credential is not None:
        said["credentials"] = {wishes.credential: secret_parts(wishes.value_file, wishes.part)}
    made = desk.front.send("PUT", "upstreams", wishes.name, body=said)
    more = "" if "credentials" in said else f" If it needs a credential: parley credentials add {wishes.name} main"
    desk.tell(made, f"{wishes.name} is an upstream.{more}")


def remove_upstream(wishes: Namespace, desk: Desk) -> None:
    """Take an upstream away."""
    desk.sure(f"Take the upstream {wishes.name} and its credentials away?")
    desk.front.send("DELETE", "upstreams", wishes.name)
    desk.tell({"removed": wishes.name}, f"{wishes.name} is asked no more.")


def as_yaml(entry: Any) -> str:
    """An entry as it would stand in parley.yaml."""
    return str(yaml.safe_dump(entry, sort_keys=False, allow_unicode=True, default_flow_style=False)).rstrip("\n")


def _named(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the upstream")


def _said(wishes: Namespace) -> dict[str, Any]:
    said = facts(wishes.from_file) if wishes.from_file else {}
    if said.pop("name", wishes.name) != wishes.name:
        raise Misused(f"The file is of another upstream than {wishes.name}.")
    if isinstance(items := said.get("credentials"), list):
        said["credentials"] = dict(_with_alias(wishes.name, number, item) for number, item in enumerate(items, 1))
    for name in ("provider", "base_url", "models", "default_model"):
        if (value := getattr(wishes, name)) is not None:
            said[name] = value
    if limits := limits_of(wishes):
        said["limits"] = {**said.get("limits", {}), **limits}
    return said


def _with_alias(upstream: str, number: int, item: Any) -> tuple[str, Any]:
    """A credential as parley.yaml has it, by its alias."""
    parts = dict(item) if isinstance(item, dict) else {"value": item}
    return str(parts.pop("alias", f"{upstream}-{number}")), parts


def _credentials(one: Mapping[str, Any]) -> Cell:
    disabled = sum(bool(each["entry"].get("disabled")) for each in one["credentials"])
    count = len(one["credentials"])
    return Toned(f"{count} ({disabled} disabled)", "odd") if disabled else count

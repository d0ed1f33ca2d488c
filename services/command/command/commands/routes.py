"""`parley routes`: model names of yours, and who answers them."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any, Final, get_args

import yaml

from command.commands.upstreams import as_yaml
from command.desk import Desk
from command.menu import Menu, confirmed
from command.outcomes import Misused
from command.reading import facts, several
from parley.catalog import Strategy

HELP: Final = "model names of yours, and who answers them"
MORE: Final = "What strategies, weights and fallbacks do: docs/routes.md."


def arguments(menu: Menu) -> None:
    """What the group understands."""
    menu.add("list", list_routes, "all routes")
    show = menu.add("show", show_route, "one route as it is configured")
    _named(show)
    put = menu.add("put", put_route, "lead a model name somewhere, wherever it led")
    _named(put)
    put.add_argument("targets", nargs="*", metavar="UPSTREAM/MODEL", help="whom to ask, in this order")
    put.add_argument("--strategy", choices=get_args(Strategy), help="whom of them to ask first (failover)")
    put.add_argument("--weights", type=_weights, metavar="3,1", help="of the targets, in their order")
    put.add_argument("--aliases", type=several, metavar="A,B", help="other names for the same")
    put.add_argument("--fallback", type=several, metavar="A,B", help="model names to go on with when nobody answers")
    put.add_argument(
        "--default", action="append", metavar="FIELD=VALUE", help="where a request does not say: temperature=0.2"
    )
    put.add_argument(
        "--from-file", type=Path, metavar="FILE", help="an entry as in parley.yaml (YAML or JSON; -: standard input)"
    )
    remove = menu.add("remove", remove_route, "take a route away, also one of parley.yaml")
    _named(remove)
    confirmed(remove)


def list_routes(_wishes: Namespace, desk: Desk) -> None:
    """All routes."""
    found = list(desk.front.every("routes"))
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    desk.telling.table(
        ("MODEL", "STRATEGY", "TARGETS", "FALLBACK", "ALIASES", "FROM"),
        [
            (
                one["model"],
                one["entry"].get("strategy", "failover"),
                ", ".join(map(_target, one["entry"]["targets"])),
                ", ".join(one["entry"].get("fallback", ())),
                ", ".join(one["entry"].get("aliases", ())),
                one["source"],
            )
            for one in found
        ],
        nothing="There are no routes. `parley routes put MODEL UPSTREAM/MODEL` makes one.",
    )


def show_route(wishes: Namespace, desk: Desk) -> None:
    """One route."""
    found = desk.front.get("routes", wishes.model)
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    desk.telling.facts([("from", found["source"]), ("instead of", found["overrides"])])
    desk.telling.say(as_yaml({"model": found["model"], **found["entry"]}))


def put_route(wishes: Namespace, desk: Desk) -> None:
    """Lead a model name somewhere."""
    said = _said(wishes)
    made = desk.front.send("PUT", "routes", wishes.model, body=said)
    desk.tell(made, f"{wishes.model} leads to {', '.join(map(_target, made['entry']['targets']))}.")


def remove_route(wishes: Namespace, desk: Desk) -> None:
    """Take a route away."""
    desk.sure(f"Take the route {wishes.model} away?")
    desk.front.send("DELETE", "routes", wishes.model)
    desk.tell({"removed": wishes.model}, f"{wishes.model} is a route no more.")


def _named(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the name that callers ask for, or a pattern such as gpt-4*")


def _said(wishes: Namespace) -> dict[str, Any]:
    said = facts(wishes.from_file) if wishes.from_file else {}
    if said.pop("model", wishes.model) != wishes.model:
        raise Misused(f"The file is of another route than {wishes.model}.")
    if wishes.targets:
        said["targets"] = wishes.targets
    if wishes.weights is not None:
        if len(wishes.weights) != len(wishes.targets):
            raise Misused("There must be a weight for each target.")
        pairs = zip(wishes.targets, wishes.weights, strict=True)
        said["targets"] = [{"target": target, "weight": weight} for target, weight in pairs]
    if not said.get("targets"):
        raise Misused("A route needs at least one target, written as upstream/model.")
    for name in ("strategy", "aliases", "fallback"):
        if (value := getattr(wishes, name)) is not None:
            said[name] = value
    for field in wishes.default or ():
        name, equals, value = field.partition("=")
        if not equals:
            raise Misused(f"{field!r} is no default such as temperature=0.2.")
        said.setdefault("defaults", {})[name] = yaml.safe_load(value)
    return said


def _target(target: Any) -> str:
    if isinstance(target, str):
        return target
    weight = target.get("weight")
    return str(target["target"]) if weight is None else f"{target['target']} ({weight:g})"


def _weights(text: str) -> list[float]:
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        raise ArgumentTypeError(f"{text!r} are no weights such as 3,1") from None
    return [int(weight) if weight.is_integer() else weight for weight in weights]

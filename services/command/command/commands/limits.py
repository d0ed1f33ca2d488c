"""`parley limits`: how full they are, and those of models."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any, Final

from command.desk import Desk
from command.limiting import limit_arguments, limits_of, limits_said
from command.menu import Menu, confirmed
from command.outcomes import Misused
from command.telling import Cell, Toned, moment

HELP: Final = "how full limits are, and limits of models"
MORE: Final = (
    "Keys have theirs with `parley keys create` and `change`, upstreams with `parley upstreams put`. A scope is "
    "key:NAME, model:PATTERN or credential:UPSTREAM/ALIAS."
)
_COUNTS: Final = (
    ("RPM", "requests_per_minute"),
    ("RPD", "requests_per_day"),
    ("TPM", "tokens_per_minute"),
    ("TPD", "tokens_per_day"),
    ("AT A TIME", "concurrency"),
)


def arguments(menu: Menu) -> None:
    """What the group understands."""
    listing = menu.add("list", list_limits, "how full every limit is")
    listing.add_argument("--kind", choices=("key", "model", "credential"), help="only those of")
    show = menu.add("show", show_limits, "how full the limits of one scope are")
    show.add_argument("scope", metavar="SCOPE", help="key:NAME, model:PATTERN or credential:UPSTREAM/ALIAS")
    reset = menu.add("reset", reset_limits, "forget what a scope used, budgets too; the limits stay")
    reset.add_argument("scope", metavar="SCOPE", help="likewise")
    confirmed(reset)
    menu.add("models", list_model_limits, "limits of models, in the order in which they count")
    put = menu.add(
        "put", put_model_limit, "limit all models that a pattern fits, together, as said here and not as before"
    )
    put.add_argument("model", metavar="MODEL", help="a name, or a pattern such as east/*")
    limit_arguments(put)
    remove = menu.add("remove", remove_model_limit, "take a limit of models away")
    remove.add_argument("model", metavar="MODEL", help="as it was put")
    confirmed(remove)


def list_limits(wishes: Namespace, desk: Desk) -> None:
    """How full every limit is."""
    _told(desk, list(desk.front.every("limits", kind=wishes.kind)))


def show_limits(wishes: Namespace, desk: Desk) -> None:
    """How full those of one scope are."""
    found = desk.front.get("limits", wishes.scope)
    if desk.telling.as_json:
        desk.telling.json(found)
    else:
        _told(desk, [found])


def reset_limits(wishes: Namespace, desk: Desk) -> None:
    """Begin anew."""
    desk.sure(f"Forget what {wishes.scope} used?")
    desk.front.send("DELETE", "limits", wishes.scope)
    desk.tell({"reset": wishes.scope}, f"{wishes.scope} begins anew.")


def list_model_limits(_wishes: Namespace, desk: Desk) -> None:
    """Limits of models."""
    found = list(desk.front.every("limits", "models"))
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    desk.telling.table(
        ("MODEL", "LIMITS", "FROM"),
        [(one["model"], limits_said(one["entry"]), one["source"]) for one in found],
        nothing="No models are limited. `parley limits put MODEL --rpm N` limits some.",
    )


def put_model_limit(wishes: Namespace, desk: Desk) -> None:
    """Limit models."""
    if not (said := limits_of(wishes)):
        raise Misused("Say how much, such as --rpm 60.")
    made = desk.front.send("PUT", "limits", "models", wishes.model, body=said)
    desk.tell(made, f"{wishes.model}: {limits_said(made['entry']) or 'no limit'}.")


def remove_model_limit(wishes: Namespace, desk: Desk) -> None:
    """Take a limit away."""
    desk.sure(f"Take the limit of {wishes.model} away?")
    desk.front.send("DELETE", "limits", "models", wishes.model)
    desk.tell({"removed": wishes.model}, f"{wishes.model} is limited no more.")


def _told(desk: Desk, found: list[Mapping[str, Any]]) -> None:
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    used = [(heading, name) for heading, name in _COUNTS if any(one[name] for one in found)]
    budgets = any(one["budgets"] for one in found)
    desk.telling.table(
        ("SCOPE", *(f"{heading}>" for heading, _ in used), *(["BUDGETS"] if budgets else [])),
        [
            (one["scope"], *(_use(one[name]) for _, name in used), *([_budgets(one)] if budgets else []))
            for one in found
        ],
        nothing="Nothing is limited.",
    )


def _use(use: Mapping[str, int] | None) -> Cell:
    if use is None:
        return None
    return _toned(f"{use['used']:,}/{use['limit']:,}", use["used"] / use["limit"])


def _budgets(one: Mapping[str, Any]) -> Cell:
    """All of them; as full as the fullest is."""
    said = [
        f"{budget['spent']:,g}/{budget['amount']:,g}{' tokens' if budget['unit'] == 'tokens' else ''} "
        f"{'in all' if budget['ends'] is None else 'until ' + moment(budget['ends'])}"
        for budget in one["budgets"]
    ]
    return _toned("; ".join(said), max((each["spent"] / each["amount"] for each in one["budgets"]), default=0))


def _toned(text: str, full: float) -> Toned:
    return Toned(text, "bad" if full >= 1 else "odd" if full >= 0.8 else "")

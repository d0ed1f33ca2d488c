"""`parley credentials`: what opens upstreams. Secrets are read from standard input, a prompt or a file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from command.desk import Desk
from command.menu import Menu, confirmed
from command.outcomes import OK, REFUSED, Refused
from command.reading import seconds, secret_parts
from command.telling import Cell, Toned, ago, span

HELP: Final = "what opens upstreams: see how they are, add, replace, remove, disable, test and rest them"
MORE: Final = (
    "A credential's secret is never a word of a command, which a shell remembers: it is read from standard input, from "
    "a prompt at a terminal, or from --value-file. One text is the secret; a JSON object has its parts, as in "
    "parley.yaml."
)


def arguments(menu: Menu) -> None:
    """What the group understands."""
    listing = menu.add("list", list_credentials, "all credentials, and how they are")
    listing.add_argument("upstream", nargs="?", metavar="UPSTREAM", help="only of this one")
    for name, run, says in (
        ("add", add_credential, "add a credential to an upstream"),
        ("replace", replace_credential, "replace a credential's secret; what else is said of it stays"),
    ):
        secret = menu.add(name, run, says)
        _named(secret)
        secret_arguments(secret)
    remove = menu.add("remove", remove_credential, "take a credential away; one of the environment stays away")
    _named(remove)
    confirmed(remove)
    for name, disabled, says in (("disable", True, "lend it to nobody for now"), ("enable", False, "lend it again")):
        switch = menu.add(name, switch_credential, says)
        _named(switch)
        switch.set_defaults(disabled=disabled)
    test = menu.add(
        "test",
        test_credentials,
        "try credentials now, with a request that nobody is billed for",
        "Ends with 1 if one of them failed.",
    )
    test.add_argument("upstream", nargs="?", metavar="UPSTREAM", help="only of this one")
    test.add_argument("alias", nargs="?", metavar="ALIAS", help="only this one")
    rest = menu.add("rest", rest_credential, "let a credential, or a whole upstream, pause")
    _named(rest, every=True)
    rest.add_argument("--for", dest="time", type=seconds, default=3600.0, metavar="TIME", help="90s, 15m, 12h, 7d (1h)")
    rest.add_argument("--reason", default="", help="for people")
    wake = menu.add("wake", wake_credential, "end a rest at once, whoever began it")
    _named(wake, every=True)


def secret_arguments(parser: ArgumentParser) -> None:
    """Where a secret is read from."""
    parser.add_argument("--value-file", type=Path, metavar="FILE", help="holds the secret; -: standard input")
    parser.add_argument(
        "--part",
        action="append",
        default=[],
        metavar="NAME",
        help="a part of the secret (app_id, api_key, ...): asked for, or a line of the input; may be repeated",
    )


def list_credentials(wishes: Namespace, desk: Desk) -> None:
    """All credentials."""
    rows = list(_joined(desk, wishes.upstream))
    if desk.telling.as_json:
        desk.telling.json(rows)
        return
    desk.telling.table(
        ("UPSTREAM", "ALIAS", "STATE", "LAST SUCCESS", "LAST FAILURE", "OK IN THE HOUR>", "LEASES>", "FROM"),
        [
            (
                row["upstream"],
                row["alias"],
                _state(row),
                ago(_health(row).get("last_success")),
                _failed(row),
                _rate(row),
                len((row["standing"] or {}).get("leases", ())) or None,
                row["source"],
            )
            for row in rows
        ],
        nothing="There are no credentials.",
    )


def add_credential(wishes: Namespace, desk: Desk) -> None:
    """Add a credential. One of that alias is not overwritten."""
    seen = desk.front.seen("upstreams", wishes.upstream)
    if any(one["alias"] == wishes.alias for one in seen.body["credentials"]):
        raise Refused(f"{_name(wishes)} is there already: parley credentials replace.")
    parts = secret_parts(wishes.value_file, wishes.part)
    made = desk.front.send("PUT", *_path(wishes), body=parts, upon=seen.etag)
    desk.tell(made, f"{_name(wishes)} is lent from now on. Whether it works: parley credentials test {_words(wishes)}")


def replace_credential(wishes: Namespace, desk: Desk) -> None:
    """Replace a credential's secret."""
    made = desk.front.send("PATCH", *_path(wishes), body=secret_parts(wishes.value_file, wishes.part))
    desk.tell(made, f"{_name(wishes)} has another secret. Whether it works: parley credentials test {_words(wishes)}")


def remove_credential(wishes: Namespace, desk: Desk) -> None:
    """Take a credential away."""
    desk.sure(f"Take {_name(wishes)} away?")
    desk.front.send("DELETE", *_path(wishes))
    desk.tell({"removed": _name(wishes)}, f"{_name(wishes)} is lent no more.")


def switch_credential(wishes: Namespace, desk: Desk) -> None:
    """Disable or enable a credential."""
    changed = desk.front.send("PATCH", *_path(wishes), body={"disabled": wishes.disabled})
    desk.tell(changed, f"{_name(wishes)} is lent {'to nobody' if wishes.disabled else 'again'}.")


def test_credentials(wishes: Namespace, desk: Desk) -> int:
    """Try credentials."""
    results = []
    for row in _joined(desk, wishes.upstream):
        if row["standing"] is None or wishes.alias not in (None, row["alias"]):
            continue
        try:
            results.append(desk.front.send("POST", *_standing(row), "test"))
        except Refused as problem:
            if wishes.alias is not None:
                raise
            # A guest who is not there yet, or one switched off a moment ago, says nothing of the others.
            results.append(_not_tried(row, problem))
    if wishes.alias is not None and not results:
        raise Refused(f"{_name(wishes)} is not lent, or there is none.")
    if desk.telling.as_json:
        desk.telling.json(results)
    else:
        desk.telling.table(
            ("UPSTREAM", "ALIAS", "RESULT", "TOOK", "WHY"),
            [(one["upstream"], one["alias"], *_result(one)) for one in results],
            nothing="There are no credentials to be tested.",
        )
    return REFUSED if any(one["result"] == "failed" for one in results) else OK


def rest_credential(wishes: Namespace, desk: Desk) -> None:
    """Begin a rest."""
    desk.front.send("POST", *_at(wishes, desk), "rest", body={"seconds": wishes.time, "reason": wishes.reason})
    desk.tell({"resting": _name(wishes), "seconds": wishes.time}, f"{_name(wishes)} rests for {span(wishes.time)}.")


def wake_credential(wishes: Namespace, desk: Desk) -> None:
    """End a rest."""
    desk.front.send("DELETE", *_at(wishes, desk), "rest")
    desk.tell({"awake": _name(wishes)}, f"{_name(wishes)} rests no more.")


def _named(parser: ArgumentParser, *, every: bool = False) -> None:
    parser.add_argument("upstream", metavar="UPSTREAM", help="its upstream")
    if every:
        parser.add_argument("alias", nargs="?", metavar="ALIAS", help="its name there; left out: the whole upstream")
    else:
        parser.add_argument("alias", metavar="ALIAS", help="its name there")


def _joined(desk: Desk, upstream: str | None) -> Iterator[dict[str, Any]]:
    """Every configured credential with how it stands; nothing stands where it is not lent."""
    places = [desk.front.get("upstreams", upstream)] if upstream else list(desk.front.every("upstreams"))
    lent = desk.front.every(*(("upstreams", upstream) if upstream else ()), "credentials")
    standing = {(one["upstream"], one["alias"]): one for one in lent}
    for place in places:
        for one in place["credentials"]:
            found = standing.get((place["name"], one["alias"]))
            yield {"upstream": place["name"], **one, "standing": found}


def _path(wishes: Namespace) -> tuple[str, ...]:
    return ("upstreams", wishes.upstream, "credentials", wishes.alias)


def _at(wishes: Namespace, desk: Desk) -> tuple[str, ...]:
    """Where a rest is begun and ended: at a credential, or at its whole upstream."""
    if wishes.alias is None:
        return ("upstreams", wishes.upstream)
    row = next((row for row in _joined(desk, wishes.upstream) if row["alias"] == wishes.alias), None)
    if row is None or row["standing"] is None:
        raise Refused(f"{_name(wishes)} is not lent, or there is none.")
    return _standing(row)


def _standing(row: Mapping[str, Any]) -> tuple[str, ...]:
    """By its id where its alias cannot be part of a path."""
    name = row["standing"]["id"] if "/" in row["alias"] else row["alias"]
    return ("upstreams", row["upstream"], "credentials", name)


def _name(wishes: Namespace) -> str:
    return f"{wishes.upstream}/{wishes.alias}" if wishes.alias is not None else f"The upstream {wishes.upstream}"


def _words(wishes: Namespace) -> str:
    return f"{wishes.upstream} {wishes.alias}"


def _health(row: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (row["standing"] or {}).get("health", {})
    return found


def _state(row: Mapping[str, Any]) -> Toned:
    standing = row["standing"]
    if row["entry"].get("disabled"):
        return Toned("disabled", "faint")
    if standing is None:
        return Toned("not lent", "faint")
    if (rest := standing["rest"]) is not None:
        return Toned(f"rests {span(rest['seconds'])}: {rest['reason']}", "bad")
    return Toned(standing["state"], "good" if standing["state"] == "ok" else "odd")


def _failed(row: Mapping[str, Any]) -> str:
    last = _health(row).get("last_failure")
    return f"{ago(last['at'])}: {last['reason']}" if last else ""


def _rate(row: Mapping[str, Any]) -> Cell:
    health = _health(row)
    rate = health.get("success_rate")
    if rate is None:
        return None
    return Toned(f"{rate:.0%} of {health['requests']:,}", "good" if rate > 0.95 else "odd" if rate > 0.5 else "bad")


def _not_tried(row: Mapping[str, Any], why: Refused) -> dict[str, Any]:
    place = {"upstream": row["upstream"], "alias": row["alias"]}
    return {
        "object": "credential.test",
        **place,
        "result": "not_tried",
        "seconds": None,
        "failure": None,
        "why": str(why),
    }


def _result(one: Mapping[str, Any]) -> tuple[Cell, str, str]:
    took = "" if one["seconds"] is None else f"{one['seconds']:.2f} s"
    if one["result"] == "failed":
        return Toned("failed", "bad"), took, f"{one['failure']['message']} ({one['failure']['code']})"
    if one["result"] == "no_probe":
        return Toned("not tried", "faint"), took, "this provider knows no request that costs nothing"
    if one["result"] == "not_tried":
        return Toned("not tried", "faint"), took, one["why"]
    return Toned("ok", "good"), took, ""

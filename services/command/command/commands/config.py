"""`parley config`: the configuration as a whole, what was changed when, and how to go back."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from command.commands.validation import validate
from command.desk import Desk
from command.limiting import limits_said
from command.menu import Menu, confirmed
from command.outcomes import Misused
from command.reading import facts, passphrase
from command.telling import Tone, Toned, moment

HELP: Final = "the configuration as a whole: check, show, export, import, compare and roll back"
MORE: Final = "Where it comes from, and every field of it: docs/configuration.md."
_CHANGES: Final[Mapping[str, tuple[str, Tone]]] = {
    "added": ("+", "good"),
    "removed": ("-", "bad"),
    "changed": ("~", "odd"),
}
_BACK: Final = (
    "Nothing is forgotten by that. Keys that were deleted, rotated or disabled since stay so, since somebody else may "
    "know them."
)


def arguments(menu: Menu) -> None:
    """What the group understands."""
    check = menu.add(
        "validate",
        validate,
        "check .env and parley.yaml here, as the services read them",
        "Asks nobody. Ends with 1, and says what is wrong, where and at which line, if they would refuse to start.",
    )
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help="another parley.yaml, before it is put there")
    menu.add("schema", schema, "print the JSON schema of parley.yaml", "For editors. Asks nobody.")
    menu.add("show", show_config, "all that is configured, and who says it")
    menu.add("revisions", list_revisions, "what was changed while Parley runs, the newest first")
    diff = menu.add(
        "diff",
        diff_revisions,
        "what differs between two revisions",
        "Without any: what the newest changed. With one: what that one changed.",
    )
    diff.add_argument("before", nargs="?", type=int, metavar="REVISION", help="0 is environment and files alone")
    diff.add_argument("after", nargs="?", type=int, metavar="REVISION", help="the later one")
    back = menu.add("rollback", roll_back, "make an earlier revision the newest one", _BACK)
    back.add_argument("revision", type=int, metavar="REVISION", help="0: environment and files alone")
    back.add_argument(
        "--with-revoked-keys",
        action="store_true",
        help="keys that were deleted, rotated, disabled or expired since are good again, too",
    )
    confirmed(back)
    export = menu.add("export", export_config, "print the changes as an archive", "Secrets are left out, or sealed.")
    export.add_argument("--everything", action="store_true", help="environment and files, too, as if they were changes")
    export.add_argument(
        "--secrets",
        choices=("left-out", "passphrase", "parley-secret"),
        default="left-out",
        help="left-out: a mask stands for each (the default); sealed with a passphrase; or sealed for an installation "
        "with the same PARLEY_SECRET",
    )
    _passphrase(export)
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there, for you alone to read")
    importing = menu.add("import", import_config, "put an archive in force, as a whole or not at all")
    importing.add_argument("file", type=Path, metavar="FILE", help="of `parley config export`; -: standard input")
    importing.add_argument("--merge", action="store_true", help="over the present changes, entry by entry, not instead")
    importing.add_argument("--dry-run", action="store_true", help="only say what it would change")
    _passphrase(importing)
    confirmed(importing)
    restore = menu.add(
        "restore",
        restore_entry,
        "take back what was changed at one place, so that environment and files count there again",
    )
    restore.add_argument(
        "place", nargs="+", metavar="NAME", help="such as: upstreams east, credentials openai openai-1, default_model"
    )


def schema(_wishes: Namespace, desk: Desk) -> None:
    """The schema of parley.yaml."""
    from parley.configuration.schema import schema as of_file  # noqa: PLC0415  # it brings every provider

    desk.telling.json(of_file())


def show_config(_wishes: Namespace, desk: Desk) -> None:
    """All that is configured."""
    found = desk.front.get("config")
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    desk.telling.table(
        ("WHAT", "NAME", "FROM", "INSTEAD OF", "IS"),
        [
            (kind, name, said["source"], said["overrides"], _short(kind, said["entry"]))
            for kind, name, said in _all(found)
        ],
        nothing="Nothing is configured.",
    )
    for gone in found["taken_away"]:
        desk.telling.say(f"Taken away: {' '.join(gone['place'])} (of {gone['source']}).")
    desk.telling.remark(f"Revision {found['revision']}.")
    for advice in (*found["advice"], *([found["problem"]] if found["problem"] else [])):
        desk.telling.remark(advice)


def list_revisions(_wishes: Namespace, desk: Desk) -> None:
    """What was changed."""
    found = list(desk.front.every("revisions"))
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    desk.telling.table(
        ("REVISION>", "MADE", "BY", "WHAT"),
        [(str(one["number"]), moment(one["at"]), one["who"], one["what"]) for one in found],
        nothing="Nothing was changed yet: environment and files are in force (revision 0).",
    )


def diff_revisions(wishes: Namespace, desk: Desk) -> None:
    """What differs."""
    before, after = wishes.before, wishes.after
    if after is None:
        before, after = None, before if before is not None else _newest(desk)
    found = desk.front.get("revisions", str(after), "diff", with_=before)
    _differences(desk, found, f"Revision {after} changed nothing.")


def roll_back(wishes: Namespace, desk: Desk) -> None:
    """Make an earlier revision the newest one; not, if somebody changes something while you are asked."""
    etag = desk.front.seen("config").etag
    desk.sure(f"Go back to revision {wishes.revision}?")
    body = {"revoked_keys": "come-back" if wishes.with_revoked_keys else "stay"}
    found = desk.front.send("POST", "revisions", str(wishes.revision), "rollback", body=body, upon=etag)
    _differences(desk, found, "That is what is in force; nothing was changed.")
    for one in found["kept"]:
        desk.telling.remark(f"The key {one['key']} stays {one['because']}.")
    if found["differences"]:
        desk.telling.remark(f"In force as revision {found['revision']}, everywhere within a second.")


def export_config(wishes: Namespace, desk: Desk) -> None:
    """Print an archive."""
    body: dict[str, Any] = {"what": "everything" if wishes.everything else "changes", "secrets": wishes.secrets}
    if wishes.secrets == "passphrase":
        body["passphrase"] = passphrase(wishes.passphrase_file, twice=True)
    elif wishes.passphrase_file is not None:
        raise Misused("A passphrase goes with --secrets passphrase.")
    archive = desk.front.send("POST", "config", "export", body=body)
    if wishes.output is None:
        desk.telling.json(archive)
        return
    try:
        with os.fdopen(os.open(wishes.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(json.dumps(archive, indent=2, ensure_ascii=False) + "\n")
    except OSError as problem:
        raise Misused(f"{wishes.output} cannot be written: {problem.strerror}.") from problem
    desk.telling.remark(f"Revision {archive['revision']} is in {wishes.output}.")


def import_config(wishes: Namespace, desk: Desk) -> None:
    """Put an archive in force; not, if somebody changes something while you are asked."""
    archive = facts(wishes.file)
    body: dict[str, Any] = {"archive": archive, "merge": wishes.merge}
    if archive.get("sealed_with") == "passphrase":
        body["passphrase"] = passphrase(wishes.passphrase_file, twice=False)
    etag = desk.front.seen("config").etag
    nothing = "It says what is in force; nothing was changed."
    if wishes.dry_run:
        found = desk.front.send("POST", "config", "import", body={**body, "dry_run": True}, upon=etag)
        _differences(desk, found, "It would change nothing.")
        return
    desk.sure(f"Put {wishes.file} in force{'' if wishes.merge else ', in the place of all changes that there are'}?")
    found = desk.front.send("POST", "config", "import", body=body, upon=etag)
    _differences(desk, found, nothing)
    if found["differences"]:
        desk.telling.remark(f"In force as revision {found['revision']}, everywhere within a second.")


def restore_entry(wishes: Namespace, desk: Desk) -> None:
    """Take back a change."""
    found = desk.front.send("POST", "config", "restore", body={"place": wishes.place})
    _differences(desk, found, "It was as environment and files say; nothing else is in force.")


def _passphrase(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="holds the passphrase; else it is asked for at the terminal",
    )


def _newest(desk: Desk) -> int:
    newest: int = desk.front.get("config")["revision"]
    return newest


def _all(found: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for kind in ("upstreams", "credentials", "routes", "keys", "limits"):
        for name, said in found[kind].items():
            if kind == "credentials":
                yield from (("credential", f"{name}/{alias}", each) for alias, each in said.items())
            else:
                yield kind.removesuffix("s"), name, said
    for kind in ("prices", "default_model"):
        if found[kind] is not None:
            yield kind.replace("_", " "), "", found[kind]


def _short(kind: str, entry: Any) -> str:
    """The gist of an entry."""
    match kind:
        case "upstream":
            return " ".join(str(entry[name]) for name in ("provider", "base_url") if entry.get(name))
        case "route":
            return ", ".join(each if isinstance(each, str) else each["target"] for each in entry["targets"])
        case "limit":
            return limits_said(entry)
        case "key":
            return limits_said(entry.get("limits"))
        case "credential":
            return "disabled" if entry.get("disabled") else ", ".join(entry)
        case "prices":
            return f"{len(entry.get('models', ()))} lines, {entry.get('currency', 'USD')}"
    return str(entry)


def _differences(desk: Desk, found: Mapping[str, Any], nothing: str) -> None:
    if desk.telling.as_json:
        desk.telling.json(found)
        return
    rows: list[tuple[Toned, str, str, str, str]] = []
    for one in found["differences"]:
        sign, tone = _CHANGES[one["change"]]
        place = " ".join(one["place"])
        for member in one["members"] or [""]:
            before, after = (_at(one[when], member) for when in ("before", "after"))
            rows.append((Toned(sign, tone), place, member, before, after))
    desk.telling.table(("", "WHAT", "MEMBER", "BEFORE", "AFTER"), rows, nothing=nothing)


def _at(entry: Any, member: str) -> str:
    if member and isinstance(entry, dict):
        entry = entry.get(member)
    return "" if entry is None else entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False)

"""`parley config validate`: reads what the services read, as they do, and asks nobody."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from command.desk import Desk
from command.outcomes import OK, REFUSED, Misused
from command.surroundings import files
from command.telling import Toned


def validate(wishes: Namespace, desk: Desk) -> int:
    """Say what is wrong, or what there is."""
    from command.configured import reading  # noqa: PLC0415  # it brings every provider; no other command waits for them

    told = {name.lower(): Path(place) for name, place in files(desk.settings).items()}
    if wishes.file is not None:
        if not wishes.file.is_file():
            raise Misused(f"There is no file {wishes.file}.")
        told["parley_config"] = wishes.file
    found = reading(told)
    if desk.telling.as_json:
        desk.telling.json({"valid": found.problem is None, **asdict(found)})
        return OK if found.problem is None else REFUSED
    desk.telling.facts([*found.places.items(), *found.counts.items()])
    for advice in found.advice:
        desk.telling.remark(advice)
    if found.problem is not None:
        desk.telling.facts([("wrong", Toned(found.problem, "bad"))])
        return REFUSED
    desk.telling.say("The configuration can be used.")
    return OK

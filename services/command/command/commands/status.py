"""`parley status`: how everything stands."""

from __future__ import annotations

from argparse import Namespace
from typing import Final

from command.desk import Desk
from command.outcomes import OK, REFUSED
from command.telling import Toned, ago, span

HELP: Final = "how everything stands"
MORE: Final = "Ends with 1 if something is in trouble."


def status(_wishes: Namespace, desk: Desk) -> int:
    """How everything stands."""
    found = desk.front.get("status")
    if desk.telling.as_json:
        desk.telling.json(found)
        return REFUSED if found["problems"] else OK
    redis, configuration = found["redis"], found["configuration"]
    confirmed = configuration["confirmed"]
    desk.telling.facts(
        [
            ("Parley", f"{found['version']} at {desk.front.url}"),
            (
                "Redis",
                Toned(f"{redis['status']}, since {ago(redis['since'])}", "good" if redis["status"] == "ok" else "bad"),
            ),
            ("processes", ", ".join(f"{count} {role}" for role, count in sorted(found["processes"].items()))),
            ("upstreams", found["upstreams"]),
            ("under way", f"{found['leases']:,} answers, {found['waiting']:,} requests waiting"),
            (
                "configuration",
                f"revision {configuration['revision']}, "
                + ("never confirmed by Redis" if confirmed is None else f"confirmed {span(confirmed)} ago"),
            ),
        ]
    )
    if configuration["problem"]:
        desk.telling.say(f"\nThe newest revision is not in force: {configuration['problem']}")
    if found["problems"]:
        desk.telling.say("")
        desk.telling.table(
            ("IN TROUBLE", "WHY"),
            [(Toned(problem["what"], "bad"), problem["why"]) for problem in found["problems"]],
            nothing="",
        )
    return REFUSED if found["problems"] else OK

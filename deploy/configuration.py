"""Writes docs/configuration.md and the schema of parley.yaml: `python deploy/configuration.py`, or with `--print`.

Everything in them is from where it is in force: the Settings classes and the comments of .env.example, the models of
parley.yaml, the options of providers. tests/architecture/test_configuration_page.py says when they are old.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from parley.configuration.families import Environment
from parley.configuration.file import FileContent
from parley.configuration.schema import CREDENTIAL, PLACE, described, schema
from parley.providers import PROVIDERS
from parley.providers.options import OPTIONS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "configuration.md"
SCHEMA = ROOT / PLACE
EXAMPLE = ROOT / ".env.example"
PROSE = Path(__file__).with_name("configuration.md")

Schema = Mapping[str, Any]

FORMATS = {"password": "secret", "date-time": "moment", "path": "path", "ipvanynetwork": "network"}

HEADINGS: dict[str, str] = {
    "UpstreamEntry": "An item of `upstreams`",
    "CredentialEntry": "An item of `upstreams[].credentials`",
    "TimeoutsEntry": "`timeouts`",
    "PoolEntry": "`pool`",
    "RouteEntry": "An item of `routes`",
    "TargetEntry": "An item of `routes[].targets`",
    "DefaultsEntry": "`defaults`",
    "KeyEntry": "An item of `keys`",
    "LimitsEntry": "`limits` of upstreams, credentials and keys",
    "BudgetEntry": "An item of `budgets`",
    "ModelLimitEntry": "An item of `limits`",
    "PricesEntry": "`prices`",
    "PriceEntry": "An item of `prices.models`",
}
"""The parts of parley.yaml, in the order of the page."""


def text() -> str:
    """The page as it should be."""
    parts = {"environment": _environment, "file": _file, "options": _options}
    page = re.sub(r"<!-- (\w+) -->", lambda place: "\n".join(parts[place[1]]()), PROSE.read_text("utf-8"))
    return re.sub(r"\n{3,}", "\n\n", page)


def schema_text() -> str:
    """The schema as it should be."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _environment() -> Iterator[str]:
    known = Environment.model_json_schema()["properties"]
    comment = ""
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"# --- (.+) ---", line):
            yield f"\n## {heading[1]}\n\n| variable | type | default | meaning |\n|---|---|---|---|"
        elif setting := re.fullmatch(r"#([A-Z0-9_]+)=(.*)", line):
            name, default = setting.groups()
            yield _row(f"`{name}`", _type_there(known[name.lower()]), f"`{default}`" if default else "", comment)
        comment = line.removeprefix("# ")


def _file() -> Iterator[str]:
    whole = FileContent.model_json_schema()
    kinds = {**whole.pop("$defs"), "CredentialEntry": CREDENTIAL}
    yield from _table("The file", whole)
    for name, heading in HEADINGS.items():
        yield from _table(heading, kinds[name])


def _options() -> Iterator[str]:
    alike: dict[Any, list[str]] = {}
    for provider in sorted(PROVIDERS):
        alike.setdefault(OPTIONS.get(provider), []).append(provider)
    for kind, providers in alike.items():
        names = ", ".join(f"`{name}`" for name in providers)
        kinds = described(kind) if kind is not None else {}
        if kind is None or not kinds[kind.__name__]["properties"]:
            yield f"\n## {names}\n\nNone."
            continue
        yield f"\n## {names}\n"
        yield from _rows(kinds.pop(kind.__name__))
        for name, nested in kinds.items():
            yield f"\n{name}: {_sentence(nested)}\n"
            yield from _rows(nested)


def _table(heading: str, kind: Schema) -> Iterator[str]:
    yield f"\n## {heading}\n\n{_sentence(kind)}\n"
    yield from _rows(kind)


def _rows(kind: Schema) -> Iterator[str]:
    yield "| field | type | default | meaning |\n|---|---|---|---|"
    needed = kind.get("required", ())
    for name, field in sorted(kind["properties"].items(), key=lambda each: each[0] not in needed):
        default = "required" if name in needed else _default(field)
        yield _row(f"`{name}`", _type(field), default, _sentence(field))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _sentence(field: Schema) -> str:
    """A field's description, in the words of YAML: what Python calls None is left out there."""
    return re.sub(r"(?<=; )None:", "left out:", str(field.get("description", ""))).replace("None:", "Left out:")


def _default(field: Schema) -> str:
    default = field.get("default")
    if default in (None, "", [], {}) or isinstance(default, dict):
        return ""
    return f"`{json.dumps(default, ensure_ascii=False)}`".replace('"', "")


def _type_there(field: Schema) -> str:
    """The same of a variable, which is a text whatever it means."""
    match field:
        case {"type": "array", "items": {"type": _}}:
            return "texts, by commas"
        case {"type": "array" | "object" as kind}:
            return "JSON list" if kind == "array" else "JSON object"
    return _type(field)


def _type(field: Schema) -> str:
    """A schema in a few words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return HEADINGS[name] if name.startswith("`") else _linked(name)
    if "anyOf" in field:
        kinds = [_type(each) for each in field["anyOf"] if each.get("type") != "null"]
        return next((kind for kind in kinds if kind.startswith("number")), " or ".join(dict.fromkeys(kinds)))
    if "enum" in field:
        return " ".join(f"`{each}`" for each in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    match field.get("type"):
        case "array":
            each = _type(field["items"]) if field.get("items") else "text or object"
            return f"list of {each}" if len(each) < 60 else f"list; each of {each}"
        case "object":
            inner = field.get("additionalProperties")
            return f"object of {_type(inner)}" if isinstance(inner, dict) else "object"
        case "integer":
            return f"whole number{_bounds(field)}"
        case "number":
            return f"number{_bounds(field)}"
        case "boolean":
            return "`true` `false`"
    return FORMATS.get(field.get("format", ""), "text")


def _linked(name: str) -> str:
    heading = HEADINGS.get(name)
    if heading is None:
        return name
    anchor = re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")
    return f"[{'object' if ' ' in heading else heading}](#{anchor})"


def _bounds(field: Schema) -> str:
    """What is said of a number's size; what is as large as ours can be is not."""
    low, above, high = (field.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    high = high if high is not None and high < 1_000_000 else None
    if low is not None:
        return f", {low:g} or more" if high is None else f", {low:g} to {high:g}"
    return (f" above {above:g}" if above is not None else "") + (f", {high:g} at most" if high is not None else "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print", action="store_true", help="the page to standard output")
    if parser.parse_args().print:
        sys.stdout.write(text())
    else:
        PAGE.write_text(text(), "utf-8")
        SCHEMA.write_text(schema_text(), "utf-8")

"""YAML, read strictly; and at which line of it something is wrong.

A mistake is told by its place (`routes[2].targets[0]`, or `routes.2.targets.0`). The line is looked up only then, since
a second look at a long text takes as long as the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from parley.settings import ConfigurationError

_PLACE: Final = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+|\[\d+\])*(?=[:\s])")
_PART: Final = re.compile(r"[\w-]+")
_MERGE: Final = "tag:yaml.org,2002:merge"


class _Strict(yaml.SafeLoader):
    """A name that stands twice in a mapping is a mistake: one of the two would silently mean nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag == _MERGE or not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                about = f"'{key.value}' stands there twice, first at line {seen[key.value]}"
                raise yaml.constructor.ConstructorError(None, None, about, key.start_mark)
            seen[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """What a file says. Raises ConfigurationError that says at which line it is no YAML."""
    try:
        return yaml.load(path.read_text("utf-8"), _Strict)  # noqa: S506  # it is a SafeLoader
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is no text in UTF-8.") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{path} is not valid YAML{line}: {getattr(problem, 'problem', problem)}") from None


@contextmanager
def located(path: Path) -> Iterator[None]:
    """A ConfigurationError that begins with the path, a colon and a place tells its line, too; each, if it tells
    several."""
    try:
        yield
    except ConfigurationError as problem:
        raise ConfigurationError(_with_lines(str(problem), path)) from None


def _with_lines(problem: str, path: Path) -> str:
    prefix = f"{path}: "
    if not problem.startswith(prefix):
        return problem
    try:
        root = yaml.compose(path.read_text("utf-8"), yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return problem
    mistakes = re.split(rf"; (?={_PLACE.pattern}: )", problem.removeprefix(prefix))
    return prefix + "; ".join(_with_line(mistake, root) for mistake in mistakes)


def _with_line(mistake: str, root: yaml.Node | None) -> str:
    place = _PLACE.match(mistake)
    line = place and _line(root, _PART.findall(place[0]))
    return f"{mistake} (line {line})" if line else mistake


def _line(node: yaml.Node | None, parts: list[str]) -> int | None:
    """Of the innermost of `parts` that is there; None where not even the first is."""
    line = None
    for part in parts:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and part.isdecimal() and int(part) < len(node.value):
            node = node.value[int(part)]
            line = node.start_mark.line + 1
        else:
            break
    return line

"""docs/metrics.md has a line on each metric that a gateway, a keeper or a console tells, and on no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from console.figures import Figures as OfConsole
from gateway.figures import Figures as OfGateway
from keeper.figures import Figures as OfKeeper
from parley.errors import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
TITLES = ("Of a gateway", "Of a keeper", "Of a console", "Of each")
METRIC = r"(?:gen_ai|parley|process)_[a-z_]+"


class Nobody:
    """A line, and a meter."""

    up = False
    untold = lost = 0


def told(page: bytes) -> set[str]:
    names = re.findall(r"^# TYPE (\S+)", page.decode(), re.MULTILINE)
    assert len(names) == len(set(names))
    assert len(list(text_string_to_metric_families(page.decode()))) == len(names)
    return set(names)


def section(title: str) -> str:
    return re.split(r"^## ", PAGE, flags=re.MULTILINE)[["", *TITLES].index(title)]


def test_every_metric_has_its_line() -> None:
    nobody: Any = Nobody()
    status = {"redis": {"status": "gone"}, "processes": [], "upstreams": {}}
    gateway = told(OfGateway("1", nobody, nobody, lambda _: "", lambda: 0).page())
    keeper = told(OfKeeper(lambda: status, lambda: False).page())
    console = told(OfConsole(lambda: False, lambda: 0).page())
    common = set(re.findall(rf"`({METRIC})`", section("Of each")))
    for title, metrics in zip(TITLES, (gateway, keeper, console), strict=False):
        assert metrics == common | set(re.findall(rf"^\| `({METRIC})`", section(title), re.MULTILINE)), title
    assert common == gateway & keeper & console


def test_every_kind_of_error_is_explained() -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith("| `error_type`"))
    assert set(re.findall(r"`([a-z_]+)`", line)) == {"error_type", "hung_up", *KINDS}


def test_the_rules_are_valid_yaml_and_ask_for_metrics_that_exist() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    [group] = yaml.safe_load(blocks[1])["groups"]
    named = {
        re.sub(r"_(count|sum|bucket)$", "", name) for r in group["rules"] for name in re.findall(METRIC, r["expr"])
    }
    labels = set(re.findall(r"`(gen_ai_[a-z_]+|parley_[a-z_]+)`", PAGE.partition("## Of a gateway")[0]))
    known = set(re.findall(rf"^\| `({METRIC})`", PAGE, re.MULTILINE)) | {"parley_redis_up"} | labels
    assert named <= known, named - known

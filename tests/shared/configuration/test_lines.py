"""What is wrong with parley.yaml is told with its line, whoever finds it: YAML itself, the entry, or what it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from parley.configuration import read_catalog
from parley.configuration.families import Environment
from parley.settings import ConfigurationError

FILE = """\
# a remark
upstreams:
  - name: east
    provider: openai
    base_url: http://127.0.0.1:1/v1
    credentials: [{value: secret-of-east, alias: one}]
    models: [big]
routes:
  - model: smart
    targets:
      - east/big
      - target: east/big
        weight: 2
    strategy: weighted
  - {model: other, targets: [east/big], fallback: [smart, east/big]}
keys:
  - {name: alice, key: alices-own-key-of-the-file}
default_model: smart
"""


def refused(file: str) -> str:
    path = Path("parley.yaml")
    path.write_text(file)
    with pytest.raises(ConfigurationError) as problem:
        read_catalog(Environment(_env_file=None, parley_config=path))  # type: ignore[call-arg]
    assert "secret-of-east" not in str(problem.value)
    return str(problem.value)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("provider: openai", "privider: openai", "upstreams.0.provider: Field required (line 3)"),
        ("provider: openai", "privider: openai", "upstreams.0.privider: Extra inputs are not permitted (line 4)"),
        ("weight: 2", "weight: -2", "routes.0.targets.1.weight: Input should be greater than or equal to 0 (line 13)"),
        ("value: secret-of-east, ", "", "upstreams[0].credentials[0] has no value. (line 6)"),
        ("- east/big\n", "- west/big\n", "(there are: east, echo). (line 9)"),
        ("- east/big\n", "- east\n", "must be written as upstream/model. (line 11)"),
        ("fallback: [smart,", "fallback: [nobody,", "write it as upstream/model. (line 15)"),
        ("alices-own-key-of-the-file", "'${NOT_SET_HERE}'", "or in secrets.env. (line 17)"),
        ("default_model: smart", "default_model: 's*'", "it must be a name. (line 18)"),
        ("default_model: smart", "default: smart", "default: Extra inputs are not permitted (line 18)"),
        ("model: other", "model: smart", "routes[1]: 'smart' is a name or an alias of routes[0] already. (line 15)"),
        ("keys:\n", "keys:\n  - {name: alice, hash: '" + "0" * 64 + "'}\n", "the same name, or is the same. (line 18)"),
        ("routes:\n", "  - {name: east, provider: echo}\nroutes:\n", "two have the same name. (line 8)"),
    ],
)
def test_a_mistake_is_told_with_its_line(right: str, wrong: str, told: str) -> None:
    assert FILE.count(right) >= 1
    assert told in refused(FILE.replace(right, wrong, 1))


def test_each_of_several_mistakes_has_its_line() -> None:
    said = refused(FILE.replace("provider: openai", "provider: 5").replace("weight: 2", "weight: loud"))
    assert said.startswith("parley.yaml: upstreams.0.provider: ") and "(line 4); routes.0.targets.1" in said
    assert said.endswith("(line 13)")


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (FILE + "upstreams: []\n", "at line 19: 'upstreams' stands there twice, first at line 2"),
        (FILE.replace("weight: 2", "target: x"), "at line 13: 'target' stands there twice, first at line 12"),
        (FILE.replace("routes:", "routes: ["), "is not valid YAML at line"),
        ("a: &a {b: 1}\nc: {<<: *a, b: 2}\n", "a: Extra inputs are not permitted (line 1); c: Extra"),
        ("- 1\n", "parley.yaml: Input should be a valid dictionary"),
    ],
)
def test_what_is_no_such_text_is_told_too(file: str, told: str) -> None:
    assert told in refused(file)


def test_what_is_no_text_is_told() -> None:
    Path("parley.yaml").write_bytes(b"upstreams: [\xff]\n")
    with pytest.raises(ConfigurationError, match="is no text in UTF-8"):
        read_catalog(Environment(_env_file=None, parley_config=Path("parley.yaml")))  # type: ignore[call-arg]

"""Who serves a model name, by the rules of shared/settled.md."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.routing import Directory
from parley.catalog import Catalog, Route, Target, Upstream
from parley.chat.prompt import ImagePart, Prompt, User
from parley.errors import BadRequest, ModelNotFound, UnsupportedParameter


class Plain:
    features: frozenset[Any] = frozenset()

    def stream(self, prompt: Prompt, lease: object) -> Any:
        raise AssertionError("nobody asks here")


class Seeing(Plain):
    features = frozenset({"images"})


def directory(
    *upstreams: Upstream,
    routes: Sequence[Route] = (),
    default: str | None = None,
    found: Mapping[str, Sequence[str]] | None = None,
    providers: Mapping[str, Any] | None = None,
) -> Directory:
    catalog = Catalog({u.name: u for u in upstreams}, {r.model: r for r in routes}, default)
    made = {u.name: (providers or {}).get(u.name, Plain()) for u in upstreams}
    return Directory(catalog, made, lambda name: (found or {}).get(name, ()))


def ask(model: str = "", content: Any = "hi") -> Prompt:
    return Prompt([User(content)], model=model)


def where(d: Directory, model: str) -> list[tuple[str, str]]:
    return [(place.upstream.name, place.model) for place in d.plan(ask(model)).places]


ONE = Upstream("one", "openai", models=("a", "b"), default_model="a")
TWO = Upstream("two", "openai", models=("b", "c"))
ECHO = Upstream("echo", "echo", models=("echo",), default_model="echo")


def test_a_bare_name_goes_to_the_first_upstream_that_has_it() -> None:
    assert where(directory(ONE, TWO, ECHO), "b") == [("one", "b")]
    assert where(directory(TWO, ONE, ECHO), "b") == [("two", "b")]


def test_a_prefixed_name_goes_where_it_says() -> None:
    assert where(directory(ONE, TWO), "two/b") == [("two", "b")]


def test_an_unknown_name_goes_to_the_one_real_upstreams_default_model() -> None:
    assert where(directory(ONE, ECHO), "gpt-unknown") == [("one", "a")]
    assert where(directory(ONE, ECHO), "") == [("one", "a")]


def test_with_two_real_upstreams_an_unknown_name_is_refused_unless_a_default_is_set() -> None:
    with pytest.raises(ModelNotFound):
        directory(ONE, TWO).plan(ask("x"))
    assert where(directory(ONE, TWO, default="c"), "x") == [("two", "c")]


def test_echo_never_serves_another_name() -> None:
    with pytest.raises(ModelNotFound):
        directory(ECHO).plan(ask("gpt-4"))
    with pytest.raises(BadRequest) as missing:
        directory(ECHO).plan(ask(""))
    assert (missing.value.param, missing.value.status) == ("model", 400)


def test_a_provider_suffix_counts_as_the_model_before_the_last_colon() -> None:
    hf = Upstream("hf", "huggingface")
    d = directory(hf, ONE, found={"hf": ["org/m"]})
    assert where(d, "org/m:fast") == [("hf", "org/m:fast")]
    assert where(d, "hf/org/m:fast") == [("hf", "org/m:fast")]


def test_a_prefixed_name_is_tried_where_nothing_was_discovered_yet() -> None:
    assert where(directory(Upstream("hf", "huggingface"), ONE), "hf/org/new") == [("hf", "org/new")]


def test_a_route_gives_its_targets_in_order_and_skips_those_that_cannot() -> None:
    route = Route("smart", (Target("one", "a"), Target("two", "c")))
    d = directory(ONE, TWO, routes=[route], providers={"two": Seeing()})
    assert where(d, "smart") == [("one", "a"), ("two", "c")]
    picture = ask("smart", [ImagePart("https://example.com/a.png")])
    assert [place.upstream.name for place in d.plan(picture).places] == ["two"]
    with pytest.raises(UnsupportedParameter) as unmet:
        d.plan(ask("one/a", [ImagePart("https://example.com/a.png")]))
    assert unmet.value.param == "messages[0].content[0]"


def test_bare_ids_are_listed_once_and_prefixed_where_ambiguous() -> None:
    ids = [name for name, _ in directory(ONE, TWO, ECHO).offered()]
    assert ids == ["a", "b", "one/b", "two/b", "c", "echo"]
    assert len(ids) == len(set(ids))

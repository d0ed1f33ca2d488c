"""Who serves a model name, by the rules of shared/settled.md."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.routing import Candidate, Choice, Directory
from parley.catalog import Binding, Caller, Catalog, Route, Target, Upstream
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


def candidates(d: Directory, prompt: Prompt, caller: Caller | None = None) -> list[Candidate]:
    found: list[Candidate] = []
    for choice in d.choices(prompt, caller):
        found += [choice] if isinstance(choice, Candidate) else choice.candidates
    return found


def where(d: Directory, model: str, caller: Caller | None = None) -> list[tuple[str, str]]:
    return [(candidate.upstream.name, candidate.model) for candidate in candidates(d, ask(model), caller)]


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
        directory(ONE, TWO).choices(ask("x"))
    assert where(directory(ONE, TWO, default="c"), "x") == [("two", "c")]


def test_echo_never_serves_another_name() -> None:
    with pytest.raises(ModelNotFound):
        directory(ECHO).choices(ask("gpt-4"))
    with pytest.raises(BadRequest) as missing:
        directory(ECHO).choices(ask(""))
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
    assert [candidate.upstream.name for candidate in candidates(d, picture)] == ["two"]
    with pytest.raises(UnsupportedParameter) as unmet:
        d.choices(ask("one/a", [ImagePart("https://example.com/a.png")]))
    assert unmet.value.param == "messages[0].content[0]"


def test_bare_ids_are_listed_once_and_prefixed_where_ambiguous() -> None:
    ids = [name for name, _ in directory(ONE, TWO, ECHO).offered()]
    assert ids == ["a", "b", "one/b", "two/b", "c", "echo"]
    assert len(ids) == len(set(ids))


# --- routes -------------------------------------------------------------------------------------------------------


def test_a_route_goes_before_what_upstreams_have_by_name_alias_and_pattern() -> None:
    routes = [
        Route("b", (Target("two", "c"),), aliases=("bee",)),
        Route("a*", (Target("two", "b"),)),
        Route("gpt-*", (Target("one", "*"), Target("two", "c"))),
    ]
    d = directory(ONE, TWO, routes=routes)
    assert where(d, "b") == where(d, "bee") == [("two", "c")]
    assert where(d, "a") == [("two", "b")]
    assert where(d, "gpt-4o") == [("one", "gpt-4o"), ("two", "c")], "`*` is the name as it was asked"
    assert where(d, "one/a") == [("one", "a")], "a pattern does not take what names an upstream"


def test_names_and_aliases_of_routes_are_listed_and_patterns_are_not() -> None:
    routes = [Route("smart", (Target("one", "a"),), aliases=("b", "clever")), Route("x*", (Target("one", "a"),))]
    d = directory(ONE, routes=routes)
    assert d.offered() == [("smart", "parley"), ("b", "parley"), ("clever", "parley"), ("a", "one")]
    assert d.find("clever") == ("clever", "parley")
    assert d.find("x-ray") == ("x-ray", "parley")
    assert d.find("a") == ("a", "one")
    assert d.find("nobody") is None


def test_fallbacks_follow_in_order_each_once_and_theirs_after_them() -> None:
    routes = [
        Route("top", (Target("one", "a"),), fallback=("middle", "two/c", "last")),
        Route("middle", (Target("two", "b"),), fallback=("last",)),
        Route("last", (Target("one", "b"),)),
    ]
    d = directory(ONE, TWO, routes=routes)
    assert where(d, "top") == [("one", "a"), ("two", "b"), ("one", "b"), ("two", "c")]
    found = d.choices(ask("top"))
    assert [choice.route if isinstance(choice, Choice) else "" for choice in found] == ["top", "middle", "last", ""]


def test_a_fallback_may_honour_what_the_route_cannot() -> None:
    routes = [Route("smart", (Target("one", "a"),), fallback=("two/c",))]
    d = directory(ONE, TWO, routes=routes, providers={"two": Seeing()})
    picture = ask("smart", [ImagePart("https://example.com/a.png")])
    assert [candidate.upstream.name for candidate in candidates(d, picture)] == ["two"]


def test_the_default_model_may_be_a_route() -> None:
    d = directory(ONE, TWO, routes=[Route("smart", (Target("two", "c"),))], default="smart")
    assert where(d, "whatever") == where(d, "") == [("two", "c")]


def test_defaults_nearest_to_the_target_go_first_and_the_request_before_all() -> None:
    up = Upstream("up", "openai", models=("m",), defaults={"temperature": 0.1, "top_p": 0.1, "seed": 1, "top_k": 1})
    inner = Route(
        "inner", (Target("up", "m", defaults={"temperature": 0.4}),), defaults={"temperature": 0.3, "top_p": 0.3}
    )
    routes = [Route("outer", (inner,), defaults={"temperature": 0.2, "top_p": 0.2, "seed": 2})]
    d = directory(up, routes=routes)
    asked = ask("outer")
    asked.raw = {"messages": []}
    (candidate,) = candidates(d, asked)
    put = candidate.asked(asked)
    assert (put.model, put.temperature, put.top_p, put.seed, put.raw["top_k"]) == ("m", 0.4, 0.3, 2, 1)
    asked.temperature = 1.5
    assert candidate.asked(asked).temperature == 1.5
    (plain,) = candidates(d, ask("up/m"))
    assert plain.asked(asked).top_p == 0.1, "an upstream's defaults hold for its own names too"


def test_what_a_default_demands_counts_as_asked_for() -> None:
    routes = [Route("several", (Target("one", "a", defaults={"n": 3}), Target("two", "c")))]
    assert where(directory(ONE, TWO, routes=routes), "several") == [("two", "c")]


# --- keys that are bound ------------------------------------------------------------------------------------------

ENTRY = Route("entry", (Target("one", "a"),))
PASSING = Route("passing", (Target("two", "*"),))


def test_a_bound_key_decides_whatever_the_name_says() -> None:
    caller = Caller("key", Binding({}, ENTRY))
    d = directory(ONE, TWO, routes=[Route("c", (Target("two", "c"),))])
    for model in ("c", "two/b", "gpt-4", ""):
        assert where(d, model, caller) == [("one", "a")]
    assert d.offered(caller) == [("a", "parley")]
    assert d.find("a", caller) == ("a", "parley") and d.find("c", caller) is None


def test_a_key_bound_by_names_knows_these_and_perhaps_all_others() -> None:
    names = {"x": ENTRY, "y": PASSING}
    d = directory(ONE, TWO)
    assert where(d, "x", Caller("key", Binding(names))) == [("one", "a")]
    assert where(d, "y", Caller("key", Binding(names))) == [("two", "y")]
    with pytest.raises(ModelNotFound):
        d.choices(ask("z"), Caller("key", Binding(names)))
    assert where(d, "z", Caller("key", Binding(names, PASSING))) == [("two", "z")]
    assert [name for name, _ in d.offered(Caller("key", Binding(names, ENTRY)))] == ["x", "y", "a"]


def test_a_bound_key_without_a_model_anywhere_must_name_one() -> None:
    d = directory(ONE, TWO)
    with pytest.raises(BadRequest) as missing:
        d.choices(ask(""), Caller("key", Binding({}, PASSING)))
    assert missing.value.param == "model"
    assert where(d, "", Caller("key", Binding({}, Route("p", (Target("one", "*"),))))) == [("one", "a")]
    assert [name for name, _ in d.offered(Caller("key", Binding({}, PASSING)))] == ["b", "c"]

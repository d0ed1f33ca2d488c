"""`model-config.json` of openai-style-api, as it is."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from parley.catalog import Binding, Caller, Route, Target
from parley.configuration import Configured, read_catalog
from parley.configuration.environment import read_settings
from parley.configuration.model_config.kinds import KINDS, ROUTERS
from parley.settings import ConfigurationError

README = (Path(__file__).parents[2] / "transcripts" / "openai-style-api" / "readme.json").read_text("utf-8")
"""The example of the project's README."""
WARMTH = {"temperature": 0.8}


def read(content: str | list[dict[str, Any]], env: str = "", yaml: str = "") -> Configured:
    Path("model-config.json").write_text(content if isinstance(content, str) else json.dumps(content))
    Path(".env").write_text(env)
    if yaml:
        Path("parley.yaml").write_text(yaml)
    return read_catalog(read_settings())


def entry(kind: str, token: str = "tok-1", **config: Any) -> dict[str, Any]:
    return {"token": token, "type": kind, "config": config}


def openai(token: str, **config: Any) -> dict[str, Any]:
    return entry("openai", token, **{"api_key": f"sk-{token}", **config})


def callers(found: Configured) -> dict[str, Caller]:
    """By token, of those in use here."""
    tokens = [f"tok-{n}" for n in range(1, 10)]
    known = {hashlib.sha256(token.encode()).digest(): token for token in tokens}
    return {known[digest]: caller for digest, caller in found.catalog.callers.items()}


def bound(found: Configured, token: str = "tok-1") -> Binding:
    binding = callers(found)[token].bound
    assert binding is not None
    return binding


def target(route: Route | None) -> Target:
    assert route is not None
    (one,) = route.targets
    return one if isinstance(one, Target) else target(one)


# --- the README's example -----------------------------------------------------------------------------------------


def filled_in() -> str:
    """The same, with its placeholders replaced as its reader would."""
    text = README
    for placeholder, value in (
        ("xxxx.openai.azure.com", "mine.openai.azure.com"),
        ('"sk-xxxxxx"', '"sk-real"'),
        ('"sb-xxxxxx"', '"sb-real"'),
        ('"cookie": "xxxxxx"', '"cookie": "sessionKey=sk-ant-sid01-real"'),
        ('"app_id": "xxxx"', '"app_id": "id"'),
        ('"api_key": "xxxx"', '"api_key": "key"'),
        ('"api_secret": "xxxxxx"', '"api_secret": "hush"'),
        (
            '"api_key": "xxxxxx",\n            "model": "chatglm_lite"',
            '"api_key": "id.hush",\n            "model": "chatglm_lite"',
        ),
        ('"api_key": "xxxxxx"', '"api_key": "real"'),
    ):
        assert placeholder in text, placeholder
        text = text.replace(placeholder, value)
    return text


def test_the_readmes_example_is_read_and_its_placeholders_are_named() -> None:
    found = read(README)
    assert list(found.catalog.upstreams) == ["echo"]
    assert found.catalog.callers == {} and found.catalog.keyed
    advice = "\n".join(found.advice)
    for number, kind, missing in (
        (1, "azure", "its api_key is the sample's placeholder"),
        (2, "openai", "its api_key is the sample's placeholder"),
        (3, "proxy", "its api_key is the sample's placeholder"),
        (4, "claude-web", "its cookie is the sample's placeholder"),
        (5, "zhipu-api", "its api_key is the sample's placeholder"),
        (6, "xunfei-spark-api", "its app_id is the sample's placeholder"),
        (7, "router", "no token of its pool can be used"),
        (8, "model-name-router", "no token that it names can be used"),
    ):
        assert (
            f"model-config.json: entry {number} ({kind}) is left out, and its token opens nothing: {missing}" in advice
        )
    assert "none of its tokens can be used; without API_MASTER_KEY nobody has a key" in advice


def test_the_readmes_example_with_real_credentials_serves_every_token() -> None:
    found = read(filled_in())
    upstreams = found.catalog.upstreams
    assert {name: up.provider for name, up in upstreams.items()} == {
        "azure-1": "azure",
        "openai-1": "openai",
        "proxy-1": "openai-compatible",
        "claude-web-1": "claude-web",
        "zhipu-api-1": "zhipu",
        "xunfei-spark-api-1": "spark",
        "echo": "echo",
    }
    by_token = {
        token: found.catalog.callers[hashlib.sha256(token.encode()).digest()]
        for token in (
            *("f2b7295fc440db7f", "GxqT3BlbkFJj", "sb-ede1529390cc", "c115c8f5082"),
            *("7c7aa4a3549f5", "7c7aa4a3549f11", "7c7aa4a3549f12", "7c7aa4a3549f13"),
        )
    }
    assert len(found.catalog.callers) == 8
    azure, proxy, web, zhipu, spark, router, names = (
        by_token[token].bound
        for token in (
            *("f2b7295fc440db7f", "sb-ede1529390cc", "c115c8f5082", "7c7aa4a3549f5"),
            *("7c7aa4a3549f11", "7c7aa4a3549f12", "7c7aa4a3549f13"),
        )
    )
    assert azure and target(azure.otherwise) == Target("azure-1", "gpt-35-turbo")
    assert azure.otherwise and azure.otherwise.defaults == {"temperature": 0.8}
    assert upstreams["azure-1"].options == {"api_version": "2023-05-15"}
    assert proxy and target(proxy.otherwise) == Target("proxy-1", "gpt-3.5-turbo")
    assert upstreams["proxy-1"].base_url == "https://api.openai-sb.com/v1"
    assert web and target(web.otherwise).model == "claude-sonnet-4-5-20250929"
    assert upstreams["claude-web-1"].proxy and upstreams["claude-web-1"].proxy.reveal() == "http://localhost:7890"
    assert zhipu and zhipu.otherwise and zhipu.otherwise.defaults == {"temperature": 0.8, "top_p": 0.7}
    assert spark and target(spark.otherwise) == Target("xunfei-spark-api-1", "v2.0")
    assert spark.otherwise and spark.otherwise.defaults == {"top_k": 5}
    assert upstreams["xunfei-spark-api-1"].options == {"temperature": "halve"}
    assert router and router.otherwise
    assert (router.otherwise.strategy, router.otherwise.targets) == ("round-robin", (spark.otherwise, zhipu.otherwise))
    assert names and names.otherwise is None
    assert names.names == {
        "spark-api-v2.0": spark.otherwise,
        "chatglm_lite": zhipu.otherwise,
        "router-round-robin": router.otherwise,
    }
    advice = "\n".join(found.advice)
    assert "entry 4 (claude-web): conversation_id and single_conversation would share one conversation" in advice
    assert "entry 1 (azure): its token is the one that the README shows" in advice


def test_no_message_holds_a_token_or_a_secret() -> None:
    for text in (README, filled_in()):
        said = "\n".join(read(text).advice)
        for secret in ("f2b7295fc440db7f", "GxqT3BlbkFJj", "7c7aa4a3549f1", "sk-real", "hush", "sk-ant", "7890"):
            assert secret not in said
    assert "7c7aa4a3549f5" not in repr(read(filled_in()).catalog)


# --- types --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "config", "provider", "base_url", "parts", "model", "defaults"),
    [
        (
            "openai",
            {"api_key": "sk-1", **WARMTH},
            "openai",
            "https://api.openai.com/v1",
            {"value": "sk-1"},
            "*",
            WARMTH,
        ),
        (
            "proxy",
            {"api_base": "http://127.0.0.1:1/v1/", "api_key": "sk-1", "model": "m", "safe_mode": True},
            *("openai-compatible", "http://127.0.0.1:1/v1", {"value": "sk-1"}, "m", {"safe_mode": True}),
        ),
        (
            "openai",
            {"api_base": "https://api.deepseek.com/v1/", "api_key": "sk-1"},
            *("deepseek", "https://api.deepseek.com/v1", {"value": "sk-1"}, "*", {}),
        ),
        (
            "azure",
            {"api_base": "https://a.openai.azure.com/", "api_key": "k", "deployment_id": "d", "model": "x", "n": 2},
            *("azure", "https://a.openai.azure.com", {"api_key": "k"}, "d", {"n": 2}),
        ),
        (
            "claude",
            {"api_key": "sk-ant", "anthropic-version": "2023-06-01", "model": "claude-x", "max_tokens_to_sample": 9},
            *("anthropic", "https://api.anthropic.com", {"value": "sk-ant"}, "claude-x", {"max_tokens": 9}),
        ),
        (
            "claude-web",
            {"cookie": "sk-ant-sid01-x"},
            *("claude-web", "https://claude.ai", {"cookie": "sk-ant-sid01-x"}, "claude-sonnet-4-5-20250929", {}),
        ),
        (
            "zhipu-api",
            {"api_key": "id.s", "top_p": 0.7},
            *("zhipu", "https://open.bigmodel.cn/api/paas/v4", {"value": "id.s"}, "*", {"top_p": 0.7}),
        ),
        (
            "xunfei-spark-api",
            {
                "app_id": "a",
                "api_key": "b",
                "api_secret": "c",
                "api_model_version": "v3.5",
                "temperature": 0.4,
                "max_length": 9,
            },
            *(
                "spark",
                "",
                {"api_key": "b", "api_secret": "c", "app_id": "a"},
                "v3.5",
                {"temperature": 0.8, "max_tokens": 9},
            ),
        ),
        (
            "gemini",
            {"api_key": "AIza", "proxies": {"https": "http://localhost:7890"}},
            *("gemini", "https://generativelanguage.googleapis.com", {"value": "AIza"}, "gemini-flash-latest", {}),
        ),
        (
            "qwen",
            {"api_key": "sk-1", "model": "qwen-turbo"},
            *("qwen", "https://dashscope.aliyuncs.com/compatible-mode/v1", {"value": "sk-1"}, "qwen-turbo", {}),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" not in value else "",
)
def test_what_each_type_stands_for(
    kind: str, config: dict[str, Any], provider: str, base_url: str, parts: dict[str, str], model: str, defaults: Any
) -> None:
    found = read([entry(kind, **config)])
    (upstream,) = (up for name, up in found.catalog.upstreams.items() if name != "echo")
    assert (upstream.name, upstream.provider, upstream.base_url) == (f"{kind}-1", provider, base_url)
    assert {name: secret.reveal() for name, secret in upstream.credentials[0].parts.items()} == parts
    route = bound(found).otherwise
    assert target(route) == Target(upstream.name, model)
    assert route is not None and route.defaults == defaults
    assert callers(found)["tok-1"].name == f"{kind}-1"


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (entry("bing-sydney", cookie="real", style="balanced"), "Bing chat has ended"),
        (entry("skylark", api_key="AK:SK"), "Skylark's API has ended"),
        (entry("wenxin", api_key="k"), r"there is no type 'wenxin' \(there are: openai, proxy, azure, .*router"),
        (entry("openai"), "it has no api_key"),
        (entry("openai", api_key=""), "it has no api_key"),
        (entry("openai", api_key="xxx"), "its api_key is the sample's placeholder"),
        (entry("openai", api_key="k1", api_base="api.openai.com"), "its api_base must be an address"),
        (entry("openai", api_key="k1", model=4), "its model must be a text"),
        (
            entry("azure", api_key="k1", api_base="https://xxxx.openai.azure.com/", deployment_id="d"),
            "its api_base is the",
        ),
        (entry("azure", api_key="k1", api_base="https://a.b/"), "it has no deployment_id"),
        (entry("azure", api_key="k1", api_base="https://a.b/", deployment_id="d", api_version="soon"), "api.version"),
        (entry("claude-web", cookie="lang=en"), "its cookie has no sessionKey"),
        (entry("zhipu-api", api_key="nodot"), "its api_key is no key of the platform's"),
        (
            entry("xunfei-spark-api", app_id="a", api_key="b", api_secret="c", api_model_version="v9"),
            "there is no api_model_version 'v9'",
        ),
        (entry("gemini", api_key="AIza", proxies={"https": "localhost"}), "its proxy must be written as"),
        (entry("router", router_strategy="sometimes", token_pool=["tok-2"]), "its router_strategy must be one of"),
        (entry("router", router_strategy="random"), "its token_pool must be a list of tokens"),
        (entry("model-name-router"), "its model-2-token must be an object"),
    ],
)
def test_an_entry_that_cannot_serve_is_left_out_and_the_others_work(item: dict[str, Any], says: str) -> None:
    found = read([item, openai("tok-2")])
    assert set(callers(found)) == {"tok-2"}
    assert any(text.startswith(f"model-config.json: entry 1 ({item['type']}) is left out") for text in found.advice)
    assert re.search(says, "\n".join(found.advice))


def test_what_is_ignored_is_told() -> None:
    found = read(
        [
            entry("claude", api_key="sk-ant", **{"anthropic-version": "2023-01-01"}, model="claude-2", metadata2="x"),
            entry("openai", "tok-2", api_key="sk-1", stream=True, temperature=9, top_p=0.5),
            entry("gemini", "tok-3", api_key="AIza", prompt="{system}"),
        ]
    )
    advice = "\n".join(found.advice)
    assert "entry 1 (claude): anthropic-version 2023-01-01 is older than the Messages API; 2023-06-01 is used" in advice
    assert "entry 1 (claude): its vendor has withdrawn the model 'claude-2'" in advice
    assert "entry 1 (claude): metadata2 means nothing to this upstream" in advice
    assert "entry 2 (openai): 'stream' cannot be a default, and is ignored: is the caller's alone to say" in advice
    assert "entry 2 (openai): 'temperature' cannot be a default, and is ignored: Expected `float` <= 2.0" in advice
    assert "entry 3 (gemini): prompt is ignored" in advice
    route = bound(found, "tok-2").otherwise
    assert route and route.defaults == {"top_p": 0.5}


def test_entries_that_open_one_place_share_its_upstream() -> None:
    found = read(
        [
            openai("tok-1", api_key="sk-same", model="a"),
            openai("tok-2", api_key="sk-same", model="b", temperature=0.1),
            openai("tok-3", api_key="sk-other", model="a"),
        ]
    )
    assert [up.models for up in found.catalog.upstreams.values()] == [("a", "b"), ("a",), ("echo",)]
    assert [target(bound(found, f"tok-{n}").otherwise) for n in (1, 2, 3)] == [
        Target("openai-1", "a"),
        Target("openai-1", "b"),
        Target("openai-3", "a"),
    ]


# --- routers ------------------------------------------------------------------------------------------------------


def router(token: str, strategy: str, *pool: str) -> dict[str, Any]:
    return entry("router", token, router_strategy=strategy, token_pool=list(pool))


def by_name(token: str, **table: str) -> dict[str, Any]:
    return entry("model-name-router", token, **{"model-2-token": table})


@pytest.mark.parametrize("strategy", ["round-robin", "random", "parallel"])
def test_routers_choose_among_their_pool(strategy: str) -> None:
    found = read([router("tok-3", strategy, "tok-1", "tok-2"), openai("tok-1"), openai("tok-2")])
    route = bound(found, "tok-3").otherwise
    assert route and (route.model, route.strategy) == ("router-1", strategy)
    assert [target(member).upstream for member in route.targets if isinstance(member, Route)] == [
        "openai-1",
        "openai-2",
    ]


def test_parallel_is_a_type_of_its_own_too() -> None:
    found = read([openai("tok-1"), openai("tok-2"), entry("parallel", "tok-3", token_pool=["tok-1", "tok-2"])])
    route = bound(found, "tok-3").otherwise
    assert route and route.strategy == "parallel"


def test_a_token_of_a_pool_that_is_nobodys_is_left_out_with_a_warning() -> None:
    found = read([router("tok-3", "random", "tok-1", "nobody", 5), openai("tok-1")])  # type: ignore[arg-type]
    route = bound(found, "tok-3").otherwise
    assert route and len(route.targets) == 1
    assert "token 2 of its pool is not the token of a usable entry" in "\n".join(found.advice)
    assert "token 3 of its pool is not the token of a usable entry" in "\n".join(found.advice)


def test_names_choose_a_token_and_default_is_for_all_others() -> None:
    found = read([openai("tok-1"), openai("tok-2"), by_name("tok-3", default="tok-1", fast="tok-2", gone="tok-9")])
    binding = bound(found, "tok-3")
    assert target(binding.otherwise).upstream == "openai-1"
    assert {name: target(route).upstream for name, route in binding.names.items()} == {"fast": "openai-2"}
    assert "the token of 'gone' is not the token of a usable entry" in "\n".join(found.advice)


def test_routers_of_routers_ask_what_the_inner_ones_would() -> None:
    found = read(
        [
            *(openai(f"tok-{n}") for n in (1, 2, 3)),
            by_name("tok-4", a="tok-1", b="tok-2"),
            by_name("tok-5", default="tok-4", a="tok-3", c="tok-4"),
            router("tok-6", "random", "tok-4", "tok-3"),
        ]
    )
    five = bound(found, "tok-5")
    assert five.otherwise is None, "tok-4 has nobody for other names"
    assert {name: target(route).upstream for name, route in five.names.items()} == {"a": "openai-3", "b": "openai-2"}
    six = bound(found, "tok-6")
    assert {
        name: [target(member).upstream for member in route.targets if isinstance(member, Route)]
        for name, route in six.names.items()
    } == {"a": ["openai-1", "openai-3"], "b": ["openai-2", "openai-3"]}
    assert six.otherwise and [target(m).upstream for m in six.otherwise.targets if isinstance(m, Route)] == ["openai-3"]


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ([router("tok-1", "random", "tok-1")], r"entry 1 \(router\) comes back to itself: entries 1 -> 1"),
        (
            [openai("tok-1"), router("tok-2", "random", "tok-1", "tok-3"), by_name("tok-3", default="tok-2")],
            r"entry 2 \(router\) comes back to itself: entries 2 -> 3 -> 2",
        ),
    ],
)
def test_a_circle_is_refused(items: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        read(items)


# --- the file -----------------------------------------------------------------------------------------------------


def test_comments_and_last_commas_are_no_mistakes_and_strings_keep_theirs() -> None:
    found = read(
        """// the whole file
        [ /* one,
             entry */
          {"token": "tok-1", "type": "openai", "config": {"api_key": "sk-1", // a key
             "api_base": "https://one.example/v1/", "model": "a/*b*/,]//c\\"d",},
          },
        ]"""
    )
    assert target(bound(found).otherwise).model == 'a/*b*/,]//c"d'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[\n  {"token": "secret" "type": 1}\n]', r"is not valid JSON at line 2, column 22: Expecting ',' delimiter"),
        ('// x\n[{"token": "secret", "type"', "is not valid JSON at line 2"),
        ('{"token": "secret"}', "must be a list of entries"),
        ('["secret"]', "entry 1 must be an object"),
        ('[{"type": "openai"}]', 'entry 1: "token" must be a text'),
        ('[{"token": "secret", "type": 7}]', 'entry 1: "type" must be a text'),
        ('[{"token": "secret", "type": "openai", "config": []}]', 'entry 1: "config" must be an object'),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_list_of_entries_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        read(text)
    assert "secret" not in str(refused.value)


def test_the_later_of_two_entries_with_one_token_counts_as_it_did() -> None:
    found = read([openai("tok-1", model="a"), openai("tok-1", model="b")])
    assert target(bound(found).otherwise).model == "b"
    assert "entry 1 (openai) has the same token as entry 2, which counts" in "\n".join(found.advice)


def test_the_master_key_is_nobodys_token() -> None:
    with pytest.raises(ConfigurationError, match=r"entry 1 \(openai\): its token is API_MASTER_KEY"):
        read([openai("tok-1")], env="API_MASTER_KEY=tok-1\n")


def test_names_of_upstreams_are_not_taken_twice() -> None:
    with pytest.raises(ConfigurationError, match=r"makes an upstream 'openai-1', and so does parley\.yaml"):
        read([openai("tok-1")], yaml="upstreams: [{name: openai-1, provider: openai}]")


def test_the_file_may_be_elsewhere_and_need_not_be(tmp_path: Path) -> None:
    assert read([]).catalog.keyed is False
    Path("model-config.json").unlink()
    assert read_catalog(read_settings()).catalog.callers == {}
    elsewhere = tmp_path / "old" / "tokens.json"
    elsewhere.parent.mkdir()
    elsewhere.write_text(json.dumps([openai("tok-1")]))
    found = read_catalog(read_settings(parley_model_config=elsewhere))
    assert set(callers(found)) == {"tok-1"}


def test_the_page_on_migrating_says_what_becomes_of_every_type() -> None:
    page = (Path(__file__).parents[3] / "docs" / "migrating.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    assert set(re.findall(r"`([a-z-]+)`", " ".join(rows))) == {*KINDS, *ROUTERS}

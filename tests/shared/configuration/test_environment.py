"""Old `.env` files as they are: h2ogpte2api, gptomni-2api, the Hugging Face proxy."""

from pathlib import Path

import pytest

from parley.catalog import Catalog, Timeouts
from parley.configuration import read_catalog
from parley.configuration.environment import read_settings
from parley.leases import Credential, Place
from parley.settings import ConfigurationError


def catalog(env: str) -> Catalog:
    Path(".env").write_text(env)
    return read_catalog(read_settings()).catalog


def test_nothing_configured_gives_echo_and_nobody_else() -> None:
    assert list(catalog("").upstreams) == ["echo"]


def test_an_unedited_copy_of_the_example_gives_the_same() -> None:
    example = Path(__file__).parents[3] / ".env.example"
    assert list(catalog(example.read_text()).upstreams) == ["echo"]


def test_a_guest_of_h2ogpte() -> None:
    up = catalog(
        "IS_GUEST=true\nREASONING_EFFORT=65000\nSYSTEM_PROMPT_INJECT=none\nHOST=0.0.0.0\nPORT=2156\n"
    ).upstreams["h2ogpte"]
    assert up.credentials[0].guest and up.options == {"reasoning_effort": 65000} and up.pool is not None


def test_a_base_url_alone_switches_guests_on_and_is_guest_false_off() -> None:
    assert catalog("H2OGPTE_BASE_URL=http://127.0.0.1:1\n").upstreams["h2ogpte"].credentials[0].guest
    with pytest.raises(ConfigurationError, match="H2OGPTE_SESSION"):
        catalog("H2OGPTE_BASE_URL=http://127.0.0.1:1\nIS_GUEST=false\n")


def test_a_logged_in_session_of_h2ogpte() -> None:
    up = catalog(
        "IS_GUEST=false\nH2OGPTE_SESSION=s%3Aabc\nH2OGPTE_CSRF_TOKEN=tok\nH2OGPTE_WORKSPACE_ID=workspaces/1\n"
    ).upstreams["h2ogpte"]
    assert {n: s.reveal() for n, s in up.credentials[0].parts.items()} == {"cookie": "s%3Aabc", "csrf": "tok"}
    assert not up.credentials[0].guest


def test_a_remark_behind_a_value_is_refused_with_the_line_as_it_should_be() -> None:
    with pytest.raises(ConfigurationError, match=r"IS_GUEST=true$"):
        catalog("IS_GUEST=true (use guest mode)\n")


def test_several_gptomni_cookies_in_one_variable() -> None:
    up = catalog(
        """GPTOMNI_CREDENTIALS='["a=1; b=2", {"value": "c=3", "alias": "x", "proxy": "socks5://h:1"}]'\n"""
    ).upstreams["gptomni"]
    assert [c.alias for c in up.credentials] == ["gptomni-1", "x"]
    assert up.credentials[0].parts["value"].reveal() == "a=1; b=2"
    assert (up.concurrency, up.per_minute) == (2, 2)


@pytest.mark.parametrize("value", ["[", '{"a": 1}', "[1]", '[""]', '[{"alias": "x"}]'])
def test_credentials_that_are_no_list_of_strings_are_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="GPTOMNI_CREDENTIALS"):
        catalog(f"GPTOMNI_CREDENTIALS='{value}'\n")


def test_the_hugging_face_proxys_file() -> None:
    env = "HF_TOKEN=hf_abcdef\nDEFAULT_MODEL=openai/gpt-oss-120b:fireworks-ai\nREQUEST_TIMEOUT=30\nAPI_PREFIX=/v1\n"
    Path(".env").write_text(env)
    configured = read_catalog(read_settings())
    up = configured.catalog.upstreams["huggingface"]
    assert up.default_model == "openai/gpt-oss-120b:fireworks-ai"
    assert up.timeouts.first_token == 60.0, "an old time-out never cuts the first token below a minute"
    assert configured.catalog.default_model == up.default_model
    assert "8088" in configured.advice[0]


@pytest.mark.parametrize("key", ["1", "change-me", "sk-your-super-secret-key", "changeme123", "<your key>"])
@pytest.mark.parametrize("name", ["API_MASTER_KEY", "API_KEY", "ADMIN_KEY"])
def test_placeholders_are_refused_with_a_sentence_that_says_what_to_do(name: str, key: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name} is a placeholder.*openssl rand"):
        catalog(f"{name}={key}\n")


@pytest.mark.parametrize("name", ["API_MASTER_KEY", "API_KEY"])
def test_the_admin_key_is_never_the_master_key(name: str) -> None:
    with pytest.raises(ConfigurationError, match="ADMIN_KEY is the same as API_MASTER_KEY") as refused:
        catalog(f"{name}=one-and-the-same-CANARY\nADMIN_KEY=one-and-the-same-CANARY\n")
    assert "CANARY" not in str(refused.value)


def test_no_error_shows_the_value_it_complains_about() -> None:
    for env in ("HF_TOKEN=hf_xxxxxxxxCANARY\n", 'GPTOMNI_CREDENTIALS=["CANARY"\n', "REASONING_EFFORT=CANARY\n"):
        with pytest.raises(ConfigurationError) as refused:
            catalog(env)
        assert "CANARY" not in str(refused.value)


def test_a_file_adds_upstreams_and_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EAST_KEY", "k-east")
    Path("parley.yaml").write_text(
        """
upstreams:
  - {name: east, provider: openai, base_url: "http://127.0.0.1:1/v1", credentials: ["${EAST_KEY}"], models: [big]}
  - {name: farm, provider: h2ogpte, base_url: "http://127.0.0.1:2", guests: 2, pool: {size: 3}}
routes:
  - {model: smart, targets: [east/big, farm/auto, echo/echo]}
default_model: smart
"""
    )
    found = catalog("")
    assert list(found.upstreams) == ["east", "farm", "echo"]
    assert found.upstreams["east"].credentials[0].parts["value"].reveal() == "k-east"
    assert [c.alias for c in found.upstreams["farm"].credentials] == ["guest-1", "guest-2"]
    assert [t.upstream for t in found.routes["smart"].targets] == ["east", "farm", "echo"]
    assert found.default_model == "smart"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("upstreams: [", "not valid YAML at line"),
        ("upstreams: [{name: UP!, provider: x}]", r"upstreams\.0\.name"),
        ("upstream: []", "upstream"),
        ("routes: [{model: a, targets: [b]}]", "upstream/model"),
        ("routes: [{model: a, targets: [b/c]}]", "names the upstream 'b'"),
        ("upstreams: [{name: a, provider: openai, credentials: ['${NOT_SET_HERE}']}]", "NOT_SET_HERE"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(text: str, says: str) -> None:
    Path("parley.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        catalog("")


def test_a_credential_may_have_its_own_proxy_address_and_time_outs() -> None:
    up = catalog(
        'HF_CREDENTIALS=[{"value": "hf_1", "proxy": "socks5://127.0.0.1:1080", "base_url": "http://127.0.0.1:9/v1/", '
        '"timeouts": {"connect": 2, "first_token": 20.5}}, "hf_2"]\nCONNECT_SECONDS=4\n'
    ).upstreams["huggingface"]
    own, plain = (
        Credential("c", plan.alias, plan.parts, proxy=plan.proxy, base_url=plan.base_url, timeouts=plan.timeouts)
        for plan in up.credentials
    )
    assert own.place(up) == Place("http://127.0.0.1:9/v1", "socks5://127.0.0.1:1080", Timeouts(2, 20.5, 120, 1200))
    assert plain.place(up) == Place("https://router.huggingface.co/v1", None, Timeouts(4, 300, 120, 1200))
    assert "1080" not in repr(own.place(up))


@pytest.mark.parametrize("wrong", ['{"first": 2}', '{"connect": 0}', '{"connect": "2"}', '{"connect": true}', "[]"])
def test_wrong_time_outs_of_a_credential_are_named(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"HF_CREDENTIALS\[0\]\.timeouts"):
        catalog(f'HF_CREDENTIALS=[{{"value": "hf_1", "timeouts": {wrong}}}]\n')

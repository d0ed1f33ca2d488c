"""FLOWGPT_*: the old `.env` of flowgpt-2api as it is, and the names beside it."""

from pathlib import Path
from typing import Any

import pytest

from parley.catalog import Catalog, CredentialPlan
from parley.configuration import read_catalog
from parley.configuration.environment import read_settings
from parley.providers import make_providers
from parley.settings import ConfigurationError
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets
from tests.upstreams.flowgpt.tokens import token

TOKEN = token("acct-1")
NET = Net(HTTP(), WebSockets(), Browser())
"""For providers that are only made."""


def catalog(env: str) -> Catalog:
    Path(".env").write_text(env)
    found = read_catalog(read_settings()).catalog
    make_providers(found, NET)  # its options are understood, too
    return found


def upstream(env: str) -> Any:
    return catalog(env).upstreams["flowgpt"]


def revealed(plan: CredentialPlan) -> dict[str, str]:
    return {name: part.reveal() for name, part in plan.parts.items()}


def test_the_old_file_is_enough() -> None:
    up = upstream(
        "API_MASTER_KEY=a-long-random-value\nNGINX_PORT=8088\nAPI_REQUEST_TIMEOUT=180\n"
        f'FLOWGPT_BEARER_TOKEN="Bearer {TOKEN}"\nFLOWGPT_DEVICE_ID=V1StGXR8_Z5jdHi6B-myT\n'
    )
    assert (up.provider, up.base_url) == ("flowgpt", "https://prod-backend-k8s.flowgpt.com")
    assert revealed(up.credentials[0]) == {"value": f"Bearer {TOKEN}", "device_id": "V1StGXR8_Z5jdHi6B-myT"}
    assert up.models == ("default", "gpt-4-free", "chatgpt-5-pro", "aisuperior", "claude-instant")
    assert (up.concurrency, up.per_minute, up.default_model) == (2, 0, None)
    assert (up.timeouts.first_token, up.timeouts.between_tokens) == (180.0, 180.0)
    assert up.options["signature_mode"] == "dash-auth" and up.options["context_mode"] == "history"


def test_the_readmes_name_of_the_time_out_is_read_too_and_never_cuts_a_first_token() -> None:
    up = upstream(f"FLOWGPT_BEARER_TOKEN={TOKEN}\nREQUEST_TIMEOUT=30\n")
    assert up.timeouts.first_token == 60.0
    both = upstream(f"FLOWGPT_BEARER_TOKEN={TOKEN}\nREQUEST_TIMEOUT=300\nAPI_REQUEST_TIMEOUT=100\n")
    assert both.timeouts.first_token == 100.0


def test_several_tokens_each_with_what_belongs_to_it() -> None:
    up = upstream(
        f"FLOWGPT_BEARER_TOKEN={TOKEN}\nFLOWGPT_COOKIE=login-1\n"
        f'FLOWGPT_CREDENTIALS=\'["{token("acct-2")}", '
        f'{{"value": "{token("acct-3")}", "device_id": "d-3", "cookie": "c=3", "waf_token": "w", "alias": "third", '
        '"proxy": "socks5://u:p@127.0.0.1:1", "base_url": "https://b.example", "timeouts": {"total": 9}}]\'\n'
    )
    assert [plan.alias for plan in up.credentials] == ["flowgpt-1", "flowgpt-2", "third"]
    assert revealed(up.credentials[0]) == {"value": TOKEN, "cookie": "login-1"}
    assert revealed(up.credentials[2]).keys() == {"value", "device_id", "cookie", "waf_token"}
    assert up.credentials[2].base_url == "https://b.example" and up.credentials[2].timeouts == {"total": 9.0}


def test_guests_are_off_until_they_are_switched_on() -> None:
    assert "flowgpt" not in catalog("FLOWGPT_DEVICE_ID=V1StGXR8_Z5jdHi6B-myT\n").upstreams
    up = upstream("FLOWGPT_ANONYMOUS=true\n")
    assert [(plan.alias, plan.guest) for plan in up.credentials] == [("anonymous", True)]
    assert "gpt-4-turbo" in up.models
    beside = upstream(f"FLOWGPT_ANONYMOUS=true\nFLOWGPT_BEARER_TOKEN={TOKEN}\n")
    assert [plan.guest for plan in beside.credentials] == [False, True]


def test_everything_else_has_its_name() -> None:
    up = upstream(
        f"FLOWGPT_BEARER_TOKEN={TOKEN}\nFLOWGPT_BASE_URL=http://127.0.0.1:1\nFLOWGPT_SITE_URL=http://127.0.0.1:2\n"
        """FLOWGPT_MODELS='{"mine": "V1StGXR8_Z5jdHi6B-myT", "other": {"promptId": "p", "model": "magnum-12b-v2"}}'\n"""
        "FLOWGPT_ALLOW_UNKNOWN_MODEL=true\nFLOWGPT_DISCOVERY=false\nFLOWGPT_SIGNATURE_MODE=A\n"
        "FLOWGPT_SIGNATURE_LEARN=false\nFLOWGPT_CONTEXT_MODE=both\nFLOWGPT_CONTINUE=Continue.\nFLOWGPT_NSFW=true\n"
        "FLOWGPT_CLEAN_CHARACTERS=0\nFLOWGPT_CLEAN_STRICTLY=false\nFLOWGPT_CONCURRENCY=5\nFLOWGPT_PER_MINUTE=9\n"
    )
    assert up.options == {
        "models": {"mine": "V1StGXR8_Z5jdHi6B-myT", "other": {"promptId": "p", "model": "magnum-12b-v2"}},
        "allow_unknown_model": True,
        "discovery": False,
        "signature_mode": "concat-device",
        "signature_learn": False,
        "context_mode": "both",
        "go_on": "Continue.",
        "nsfw": True,
        "clean_characters": 0,
        "clean_strictly": False,
        "site_url": "http://127.0.0.1:2",
    }
    assert up.models[:2] == ("mine", "other")
    assert (up.base_url, up.concurrency, up.per_minute, up.default_model) == ("http://127.0.0.1:1", 5, 9, "default")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("FLOWGPT_SIGNATURE_MODE=sha256", "FLOWGPT_SIGNATURE_MODE: a signature mode is one of"),
        ("FLOWGPT_MODELS=[]", "FLOWGPT_MODELS: must be a JSON object"),
        ("FLOWGPT_MODELS={", "FLOWGPT_MODELS: must be a JSON object"),
        ("""FLOWGPT_MODELS='{"a": {"id": "b"}}'""", "FLOWGPT_MODELS: must be a JSON object"),
        ("""FLOWGPT_MODELS='{"a": ""}'""", "FLOWGPT_MODELS: must be a JSON object"),
        ("FLOWGPT_CONTEXT_MODE=all", "FLOWGPT_CONTEXT_MODE"),
        ("FLOWGPT_BEARER_TOKEN=your_token_here", "FLOWGPT_BEARER_TOKEN still holds the sample's placeholder"),
        (f"FLOWGPT_BEARER_TOKEN={TOKEN}\nFLOWGPT_DEVICE_ID=your_device_id", "FLOWGPT_DEVICE_ID still holds"),
        ("FLOWGPT_COOKIE=login-1", "FLOWGPT_COOKIE belongs to FLOWGPT_BEARER_TOKEN"),
        ("""FLOWGPT_CREDENTIALS='[{"token": "CANARY-1"}]'""", "has no 'token'"),
    ],
)
def test_a_wrong_line_is_refused_with_a_sentence_and_without_its_secret(line: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        catalog(f"{line}\n")
    assert "CANARY" not in str(refused.value) and TOKEN not in str(refused.value)

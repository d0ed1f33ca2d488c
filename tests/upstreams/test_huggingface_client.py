"""The stand-in for Hugging Face's router, judged by huggingface_hub's InferenceClient (`upstreams/huggingface.md`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

SCRIPT = Path(__file__).parent / "clients" / "huggingface.py"


@pytest.fixture(scope="module")
def told() -> Iterator[dict[str, Any]]:
    with Emulator("openai") as upstream:
        upstream.set(dialect="huggingface")
        yield saw("huggingface", SCRIPT, upstream.url)


def test_words_thoughts_and_usage_are_heard(told: dict[str, Any]) -> None:
    assert told["whole"] == ["Warm.", "eos_token", "accounts/fireworks-ai/models/demo-120b"]
    assert told["reasoning"] == "hm"
    stream = told["stream"]
    assert (stream["text"], stream["thought"], stream["finish"]) == ("Wärme, 世界", "hm", "eos_token")
    assert len(stream["usage"]) == 1
    assert stream["usage"][0] > 0
    assert told["async"] == "async"


def test_tools_and_schemas_in_the_form_that_the_client_rewrites_them_to(told: dict[str, Any]) -> None:
    assert told["tools"] == 'f{"a":1}'
    assert told["tool whole"] == ["f", '{"a":1}']
    assert told["schema"] == {"town": "text"}


def test_a_suffix_names_a_provider_or_a_policy(told: dict[str, Any]) -> None:
    assert told["named provider"] == "accounts/together/models/demo-120b"
    assert told["policy"] == "accounts/fireworks-ai/models/demo-120b"
    assert told["wrong provider"] == told["unknown model"] == ["BadRequestError", 400, True]
    assert told["billed"] == "acme"


def test_refusals_raise_their_class_with_a_request_id_and_nothing_is_asked_twice(told: dict[str, Any]) -> None:
    assert told["wrong key"] == ["HfHubHTTPError", 401, True]
    assert told["powerless"] == ["HfHubHTTPError", 403, True]
    assert told["spent"] == ["HfHubHTTPError", 402, True]
    statuses = {
        **{"hf_credits": 402, "hf_rate_limit": 429, "hf_template": 422, "hf_validation": 422, "html": 502},
        **{"hf_loading": 503, "hf_overloaded": 529, "hf_generation": 424},
    }
    assert {name: told[name] for name in statuses} == {
        name: ["HfHubHTTPError", status, True, 1] for name, status in statuses.items()
    }


def test_oddities_are_what_the_page_says_of_the_client(told: dict[str, Any]) -> None:
    assert set(told["oddities"].values()) == {"odd but right"}
    assert told["done without a space"] == ["JSONDecodeError"]
    assert told["error frame"][0] == "ValidationError"

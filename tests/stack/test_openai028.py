"""The 0.28 generation of OpenAI's client (`openai.api_base`), unmodified, through the whole stack."""

from __future__ import annotations

from pathlib import Path

from tests.stack.running import KEY, Stack
from tests.upstreams.running import Emulator
from tests.upstreams.vendor import saw

SCRIPT = Path(__file__).parents[1] / "upstreams" / "clients" / "openai028.py"


def test_scripts_of_the_replaced_projects_users_work_as_they_are() -> None:
    with Emulator("openai") as upstream:
        settings = {"OPENAI_API_KEY": "sk-upstream-1", "OPENAI_BASE_URL": f"{upstream.url}/v1"}
        with Stack(settings, gateways=1) as stack:
            told = saw("openai028", SCRIPT, f"{stack.url}/v1", KEY, "demo-mini")
    assert told == {
        "whole": ["Grüße, 世界", "stop", "demo-mini"],
        "usage": True,
        "stream": "Grüße, 世界",
        "roles": ["assistant"],
        "finish": "stop",
        "models": True,
        "call": '{"town":"Basel"}',
        "unknown model": ["InvalidRequestError", 404, "model_not_found"],
        "bad request": ["InvalidRequestError", 400, "invalid_value"],
        "wrong key": ["AuthenticationError", 401, None],  # the class keeps no code
    }

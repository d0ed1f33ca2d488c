"""The composed gateway as a process: it starts without anything, answers, and refuses in a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.schema import check_completion
from tests.servers import free_port

CANARY = "canary-5b1d9e"
PARLEY_YAML = f"""
upstreams:
  - name: bad
    provider: openai
    base_url: http://127.0.0.1:1/v1
    credentials: [sk-{CANARY}-upstream]
    models: [gone]
"""


def start(folder: Path, **environment: str) -> tuple[subprocess.Popen[str], int]:
    port = free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "gateway.app:create_app",
            "--port",
            str(port),
            "--no-access-log",
        ],
        cwd=folder,
        env={**kept, "REDIS_URL": "redis://127.0.0.1:1/0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return process, port


def ended(folder: Path, **environment: str) -> tuple[int, str]:
    process, _ = start(folder, **environment)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"API_MASTER_KEY": "change-me"}, "API_MASTER_KEY is a placeholder"),
        ({"TRUSTED_PROXIES": "nobody"}, "TRUSTED_PROXIES: 'nobody'"),
        ({"REDIS_URL": f"redis://:{CANARY}@127.0.0.1:port/0"}, "REDIS_URL cannot be understood"),
        ({"MAX_BODY_MB": "none"}, "MAX_BODY_MB"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, environment: dict[str, str], sentence: str
) -> None:
    code, output = ended(tmp_path, **environment)
    assert code != 0
    assert sentence in output
    assert "Traceback" not in output
    assert CANARY not in output


def test_it_answers_without_redis_and_says_no_secret_anywhere(tmp_path: Path) -> None:
    (tmp_path / "parley.yaml").write_text(PARLEY_YAML)
    key = f"sk-{CANARY}-master"
    process, port = start(tmp_path, API_MASTER_KEY=key, PARLEY_SECRET=f"{CANARY}-seal", LOG_LEVEL="DEBUG")
    url = f"http://127.0.0.1:{port}"
    seen: list[str] = []

    def call(method: str, path: str, given: str = key, body: Any = None) -> httpx.Response:
        response = httpx.request(
            method,
            f"http://127.0.0.1:{port}{path}",
            json=body,
            headers={"authorization": f"Bearer {given}"},
            timeout=30,
        )
        seen.extend([response.text, str(response.headers)])
        return response

    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert call("GET", "/health/live").status_code == 200
                break
            except httpx.ConnectError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        hi: list[Any] = [{"role": "user", "content": "hello there"}]
        answer = call("POST", "/v1/chat/completions", body={"model": "echo", "messages": hi})
        check_completion(answer.json())
        assert answer.json()["choices"][0]["message"]["content"] == "hello there"
        client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
        with client.chat.completions.stream(
            model="echo", messages=[{"role": "user", "content": "hello there"}]
        ) as said:
            assert said.get_final_completion().choices[0].message.content == "hello there"
        assert call("GET", "/v1/models").json()["data"][-1]["id"] == "echo"
        assert call("GET", "/health").json()["degraded"][0]["what"] == "redis"
        assert call("POST", "/v1/chat/completions", body={"model": "none", "messages": hi}).status_code == 404
        for stream in (False, True):
            gone = call("POST", "/v1/chat/completions", body={"model": "gone", "messages": hi, "stream": stream})
            assert gone.status_code in (429, 502, 503)
        unknown = call("POST", "/v1/chat/completions", f"{CANARY}-wrong", {"messages": hi})
        assert unknown.status_code == 503  # it may have been issued, and only Redis knows
        call("GET", f"/nowhere?key={CANARY}-query")
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=30)
    seen.append(output)
    records = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    requests = [record for record in records if record.get("event") == "request"]
    assert [record["outcome"] for record in requests] == ["done", "done", "refused", "failed", "failed", "failed"]
    assert requests[3]["attempts"]
    assert CANARY not in "".join(seen)

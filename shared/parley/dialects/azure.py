"""What Azure OpenAI understands at which api-version, where it is asked, and what its refusals mean. Pure.

Protocol: `upstreams/azure-openai.md`. Everything not said here is as OpenAI's own (`parley.dialects.openai`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import msgspec

from parley.chat.demands import Feature
from parley.dialects.openai import Rules, Verdict, failure_of
from parley.errors import BadRequest, Failure, Throttled, UpstreamBroken

_PASTED: Final = re.compile(r"/openai(?:/deployments(?:/.*)?|/models|/v1(?:/.*)?)?/*$")
"""What people paste behind the endpoint; a private gateway's own path before it stays."""
_VERSION: Final = re.compile(r"(20\d\d-\d\d-\d\d)(-preview)?|preview|latest")

WORDS: Final[frozenset[Feature]] = frozenset({"stop", "max_tokens", "usage", "n", "logprobs"})
_SINCE: Final[Mapping[Feature, str]] = {
    "tools": "2023-12-01",
    "json_object": "2023-12-01",
    "images": "2023-12-01",
    "json_schema": "2024-08-01",
    "audio_input": "2025-01-01",
    "audio_output": "2025-01-01",
}
"""What changes the meaning when it is lost, and the first version (previews count) that has it."""
_DROPPED_BEFORE: Final[Mapping[str, str]] = {
    "seed": "2023-12-01",
    **dict.fromkeys(("parallel_tool_calls", "metadata", "store", "service_tier"), "2024-10-21"),
    "reasoning_effort": "2024-12-01",
    **dict.fromkeys(("prediction", "verbosity"), "2025-01-01"),
    **dict.fromkeys(("safety_identifier", "prompt_cache_key", "prompt_cache_retention"), "9999"),
}
"""What merely tunes, and the first version that takes it; earlier ones answer 400 for it. 9999: the v1 surface only."""
_NEVER: Final = frozenset({"moderation", "prompt_cache_options"})
_STREAM_USAGE, _COMPLETION_LIMIT, _DEVELOPER = "2024-10-21", "2024-10-21", "2024-12-01"


@dataclass(frozen=True, slots=True)
class Surface:
    """One way to ask: `/openai/deployments/NAME` at a dated version, or `/openai/v1` when there is no date."""

    version: str
    """As it is sent; may be empty for the v1 surface."""

    @property
    def date(self) -> str:
        """The version's date, which sorts; the v1 surface comes after every date."""
        return self.version[:10] if self.version[:1].isdigit() else "~"

    @property
    def v1(self) -> bool:
        """Whether the model is named in the body and not in the path."""
        return self.date == "~"

    @property
    def features(self) -> frozenset[Feature]:
        """What can be asked for at this version."""
        newest: frozenset[Feature] = frozenset({"custom_tools", "files"}) if self.v1 else frozenset()
        return WORDS | newest | {feature for feature, since in _SINCE.items() if self.date >= since}

    @property
    def rules(self) -> Rules:
        """How a request has to be written for this version."""
        return Rules(
            limit="auto" if self.date >= _COMPLETION_LIMIT else "max_tokens",
            developer=self.date >= _DEVELOPER,
            stream_usage=self.date >= _STREAM_USAGE,
            drops=_NEVER | {name for name, since in _DROPPED_BEFORE.items() if self.date < since},
        )

    def chat(self, endpoint: str, deployment: str) -> str:
        """Where a deployment is asked. Its name is one segment, whatever is in it."""
        if self.v1:
            return f"{endpoint}/openai/v1/chat/completions{self._query}"
        return f"{endpoint}/openai/deployments/{quote(deployment, safe='')}/chat/completions{self._query}"

    def models(self, endpoint: str) -> str:
        """Where the resource tells its base models, which costs nothing. They are not what is deployed."""
        return f"{endpoint}/openai/{'v1/' if self.v1 else ''}models{self._query}"

    @property
    def _query(self) -> str:
        return f"?api-version={quote(self.version, safe='')}" if self.version else ""


def surface(version: str) -> Surface:
    """The surface for an api-version: a date, perhaps with `-preview`; or `v1`, `preview`, `latest`.

    Raises ValueError.
    """
    version = version.strip()
    if version in ("", "v1"):
        return Surface("")
    if not _VERSION.fullmatch(version):
        raise ValueError("an api-version is a date such as 2024-10-21 or 2025-04-01-preview, or v1")
    return Surface(version)


def endpoint(pasted: str) -> str:
    """The endpoint alone, of whatever was pasted: with or without the path of a deployment, a query, a slash."""
    return _PASTED.sub("", pasted.strip().partition("?")[0].rstrip("/")).rstrip("/")


# --- refusals -----------------------------------------------------------------------------------------------------

VERDICTS: Final[Mapping[str, Verdict]] = {
    "DeploymentNotFound": "no_model",
    "PermissionDenied": "credential",
    "RateLimitReached": "throttled",
    "NoCapacity": "throttled",
    "EngineOverloaded": "throttled",
}
_NO_PLACE: Final = frozenset({"404", "ResourceNotFound", "NotFound"})
_NO_VERSION: Final = re.compile(r"api[- ]version.*not supported|not supported.*api[- ]version", re.IGNORECASE)
_AFTER: Final = re.compile(r"retry after (\d{1,5}) second", re.IGNORECASE)
_LEVELS: Final = frozenset({"safe", "low", "medium", "high"})
_CATEGORIES: Final = (
    "hate",
    "self_harm",
    "sexual",
    "violence",
    "jailbreak",
    "profanity",
    "indirect_attack",
    "protected_material_text",
    "protected_material_code",
    "ungrounded_material",
    "custom_blocklists",
)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that an HTTP answer other than 200 says (section 3). `headers` must be found whatever their case."""
    failure = failure_of(status, headers, body, VERDICTS)
    error = _error(body)
    code, text = str(error.get("code")), str(error.get("message"))
    if status == 404 and code in _NO_PLACE:
        return UpstreamBroken(
            "The upstream knows nothing at this address: its operator should look at the endpoint and the api-version.",
            upstream_status=status,
        )
    if status in (400, 404) and _NO_VERSION.search(text):
        return UpstreamBroken("The upstream does not know the configured api-version.", upstream_status=status)
    if status == 400 and code == "content_filter":
        said = failure.message
        failure = BadRequest(said, param=error.get("param") or "prompt", code=code, upstream_status=status)
        failure.details = _filtered(error)
    if isinstance(failure, Throttled) and failure.retry_after is None and (found := _AFTER.search(text)):
        failure.retry_after = float(found[1])
    return failure


def _error(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    error = said.get("error") if isinstance(said, dict) else None
    return error if isinstance(error, dict) else {}


def _filtered(error: Mapping[str, Any]) -> dict[str, Any]:
    """Which filter struck, rebuilt from its known words: a caller may act on it, and nothing else comes along."""
    inner = error.get("innererror")
    inner = inner if isinstance(inner, dict) else {}
    given = inner.get("content_filter_result") or inner.get("content_filter_results")
    result = {}
    given = given if isinstance(given, dict) else {}
    for category in _CATEGORIES:
        verdict = given.get(category)
        if isinstance(verdict, dict):
            flags = {name: verdict[name] for name in ("filtered", "detected") if isinstance(verdict.get(name), bool)}
            level = verdict.get("severity")
            result[category] = {**flags, **({"severity": level} if level in _LEVELS else {})}
    return {"innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": result}}

"""Prompt: one question to a model, as OpenAI's API states it, checked on the way in.

The fields and ranges are those of `upstreams/openai.md` section 2.1. A field that is not listed there is kept in `raw`
and goes only to upstreams that speak the same API.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Name = Annotated[str, Meta(max_length=256)]


class ImageURL(Struct):
    """Where an image is: https, or a data URL."""

    url: str
    detail: str | None = None


class TextPart(Struct, tag_field="type", tag="text"):
    """Words."""

    text: str


class ImagePart(Struct, tag_field="type", tag="image_url"):
    """An image; some clients write the URL as a bare string."""

    image_url: ImageURL | str


class AudioPart(Struct, tag_field="type", tag="input_audio"):
    """Recorded sound: `{"data": base64, "format": "wav" | "mp3"}`."""

    input_audio: dict[str, Any]


class FilePart(Struct, tag_field="type", tag="file"):
    """A document, by content or by id."""

    file: dict[str, Any]


class RefusalPart(Struct, tag_field="type", tag="refusal"):
    """What an assistant said when it declined."""

    refusal: str


Part = TextPart | ImagePart | AudioPart | FilePart | RefusalPart | str
Content = str | list[Part] | None


class FunctionCall(Struct):
    """Which function, and its arguments as JSON text."""

    name: str
    arguments: str = ""


class CustomCall(Struct):
    """A custom tool and its free-form input."""

    name: str
    input: str = ""


class Call(Struct):
    """A tool call that an assistant made earlier in the conversation."""

    id: str
    type: Literal["function", "custom"] = "function"
    function: FunctionCall | None = None
    custom: CustomCall | None = None
    extra_content: dict[str, Any] | None = None
    """What an upstream said beside the call and wants to have back; only the upstream can read it."""


class System(Struct, tag_field="role", tag="system"):
    """Instructions."""

    content: str | list[Part]
    name: Name | None = None


class Developer(Struct, tag_field="role", tag="developer"):
    """Instructions, by their newer name."""

    content: str | list[Part]
    name: Name | None = None


class User(Struct, tag_field="role", tag="user"):
    """What a person says."""

    content: str | list[Part]
    name: Name | None = None


class Assistant(Struct, tag_field="role", tag="assistant"):
    """What the model said before."""

    content: Content = None
    refusal: str | None = None
    name: Name | None = None
    tool_calls: list[Call] | None = None
    function_call: FunctionCall | None = None
    audio: dict[str, Any] | None = None
    reasoning_content: str | None = None


class Tool(Struct, tag_field="role", tag="tool"):
    """What a tool gave back."""

    content: str | list[Part]
    tool_call_id: str


class Function(Struct, tag_field="role", tag="function"):
    """What a function gave back, by the older API."""

    name: str
    content: str | None = None


Message = System | Developer | User | Assistant | Tool | Function


class StreamOptions(Struct):
    """What a stream should carry besides words."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ResponseFormat(Struct):
    """`text`, `json_object`, or `json_schema` with its schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None


Unit = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Positive = Annotated[int, Meta(ge=1)]


class Prompt(Struct):
    """One question. `model` is the caller's name for it until a route sets the upstream's."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    model: str = ""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Positive | None = None
    max_completion_tokens: Positive | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Unit | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    seed: int | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[dict[str, Any]], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    service_tier: str | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    web_search_options: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None
    raw: dict[str, Any] = field(name="", default_factory=dict)
    """The request as it came, for upstreams that speak the same API. Set after parsing, never read from the wire."""

    @property
    def limit(self) -> int | None:
        """The most tokens the answer may have, by either name."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def stops(self) -> list[str]:
        """The stop sequences; empty ones mean nothing and are left out."""
        return [s for s in ([self.stop] if isinstance(self.stop, str) else self.stop or []) if s]


def text_of(content: Content) -> str:
    """The words of a content: its text parts joined as they stand."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    return "".join(
        part if isinstance(part, str) else part.text if isinstance(part, TextPart) else "" for part in content
    )

"""The frames of h2oGPTe's chat socket: a question is encoded, what comes back is decoded (`upstreams/h2ogpte.md` 1.6).

* One question per session: nothing is asked of a session that was asked before, so its history stays off.
* `Decoder` follows the reading algorithm of section 1.6.3. It is fed socket messages, and is `done` when the service
  said so (`ca`, `cd`); a socket that closes before that has not given an answer.
* An answer is told twice, in pieces and as a whole. The whole is the authority: what the pieces lack is added at the
  end; where the two differ, a reader who got no piece yet gets the whole (`whole=True` waits for it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from parley.chat.events import Event, Stop, Text, Usage
from parley.chat.prompt import Prompt, ResponseFormat
from parley.dialects import plain
from parley.errors import (
    BadRequest,
    ContextTooLong,
    Failure,
    FirstTokenTimeout,
    ModelNotFound,
    QuotaExhausted,
    SessionLost,
    Throttled,
    UpstreamBroken,
    UpstreamEmpty,
    UpstreamMalformed,
    UpstreamOverloaded,
    UpstreamStalled,
    UpstreamTruncated,
)

MOST_NEW_TOKENS: Final = 32768
_EFFORTS: Final = {
    "none": 0,
    "minimal": 5_000,
    "low": 10_000,
    "medium": 30_000,
    "high": 65_000,
    "xhigh": 65_000,
    "max": 65_000,
}
_BANNER: Final = re.compile(r"#{1,6} (?:LLM Only|RAG|HyDE)\b[^\n]*:\n+")
_LONGEST_COMPLAINT: Final = 300


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How questions are put, beyond what a prompt says."""

    prompt_template: str | None = None
    """That an account's chat sessions get."""
    reasoning_effort: int = 65_000
    """Thinking tokens when the prompt names no effort, as the service's own page sends; 0: none."""
    system_prompt_inject: str | None = None
    """Said before the prompt's own instructions, in every question."""
    rag_type: str = "llm_only"
    """Whether documents of the workspace are searched, and how; as the service names it."""
    max_cost: float | None = None
    """US dollars that one answer may cost; the service refuses what it estimates to be dearer."""
    willingness_to_pay: float = 1.0
    """US dollars that a better answer may cost more, where the service chooses the model (its `cost_controls`)."""
    willingness_to_wait: float = 60.0
    """Seconds that it may take longer, likewise."""


def encode(prompt: Prompt, *, session: str, correlation: str, manner: Manner) -> str:
    """The question as one `cq` frame. Raises BadRequest when there is nothing to ask."""
    frame: dict[str, Any] = {
        "t": "cq",
        "mode": "s",  # how documents would be searched; nothing to do with streaming
        "session_id": session,
        "correlation_id": correlation,
        "body": plain.told(prompt.messages),
        "llm": prompt.model or "auto",
        "llm_args": _json(_llm_args(prompt, manner)),
        "self_reflection_config": "null",
        "rag_config": _json({"rag_type": manner.rag_type}),
        "include_chat_history": "off",
        "tags": [],
        "system_prompt": _system_prompt(prompt, manner),
    }
    if manner.prompt_template:
        frame["prompt_template_id"] = manner.prompt_template
    return _json(frame)


def most_new_tokens(prompt: Prompt) -> int:
    """How many tokens the answer is allowed: as the prompt says, within what the service takes."""
    return min(prompt.limit or MOST_NEW_TOKENS, MOST_NEW_TOKENS)


def _llm_args(prompt: Prompt, manner: Manner) -> dict[str, Any]:
    args: dict[str, Any] = {
        "max_new_tokens": most_new_tokens(prompt),
        "use_agent": False,
        "reasoning_effort": _EFFORTS.get(prompt.reasoning_effort or "", manner.reasoning_effort),
    }
    if prompt.temperature is not None:
        args["temperature"] = min(prompt.temperature, 1.0)
    if prompt.top_p is not None:
        args["top_p"] = prompt.top_p
    if prompt.seed is not None:
        args["seed"] = prompt.seed or 1  # 0 would ask for a random one, which is what a caller's seed is to avoid
    if prompt.response_format:
        args |= _format(prompt.response_format)
    if manner.max_cost is not None:
        args["cost_controls"] = {
            "max_cost": manner.max_cost,
            "willingness_to_pay": manner.willingness_to_pay,
            "willingness_to_wait": manner.willingness_to_wait,
        }
    return args


def _format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.type == "text":
        return {}
    schema = (wanted.json_schema or {}).get("schema") if wanted.type == "json_schema" else None
    return {"response_format": "json_object"} | ({"guided_json": schema} if schema is not None else {})


def _system_prompt(prompt: Prompt, manner: Manner) -> str | None:
    """None leaves the choice to the template or the server; an empty text means none at all."""
    said = plain.instructions(prompt.messages)
    if manner.system_prompt_inject:
        said = f"{manner.system_prompt_inject}\n\n{said}" if said else manner.system_prompt_inject
    if said is not None and said.strip().lower() == "auto":
        return f"{said.strip()}."  # the bare word is a command to the service
    return said


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class _Frame(msgspec.Struct):
    """What we look at of a frame. Other fields, and any type of these, are the service's own affair."""

    t: Any = None
    session_id: Any = None
    correlation_id: Any = None
    message_id: Any = None
    reply_to_id: Any = None
    body: Any = None
    error: Any = None
    error_type: Any = None
    retry_after: Any = None
    meta: Any = None

    @property
    def text(self) -> str:
        return self.body if isinstance(self.body, str) else ""


_ANSWERING: Final = ("cp", "cr", "cm", "ca")
_frame = msgspec.json.Decoder(_Frame)


class Decoder:
    """Reads one answer. Feed it every socket message; then, unless it is `done`, `recover` or `give_up`."""

    def __init__(self, session: str, correlation: str, *, most_tokens: int = MOST_NEW_TOKENS, whole: bool = False):
        self._session = session
        self._correlation = correlation
        self._most_tokens = most_tokens
        self._whole = whole
        self._acknowledged = False
        self._first = True
        self._said: list[str] = []
        self._final: str | None = None
        self._usage: Usage | None = None
        self.question: str | None = None
        """The id that the service gave to our question."""
        self.answer: str | None = None
        """The id of its answer."""
        self.done = False
        self.mismatch = False
        """The whole answer was not what its pieces had said."""

    def feed(self, message: str) -> Iterator[Event]:
        """The events of one socket message, which may hold several frames, one a line. Raises Failure."""
        for line in message.split("\n"):  # and at nothing else: U+2028 and its like may stand inside a frame
            if line and not line.isspace() and not self.done:
                try:
                    frame = _frame.decode(line)
                except (msgspec.DecodeError, UnicodeError) as problem:
                    raise UpstreamMalformed("The upstream sent a frame that is not JSON.") from problem
                yield from self._take(frame)

    def close(self) -> Iterator[Event]:
        """The end of an answer that is `done`: what the pieces lacked, usage, and why it stopped."""
        if not self.done:
            raise UpstreamTruncated("The upstream closed the connection before its answer was complete.")
        said = "".join(self._said)
        final = self._continued(said, self._final) if self._final else said
        if final is None:
            self.mismatch = True
            final = _plain(self._final or "") if self._whole else said
        if not final:
            raise UpstreamEmpty("The upstream's answer is empty.")
        rest = final if self._whole else final[len(said) :]
        if rest:
            yield Text(rest)
        if self._usage:
            yield self._usage
        full = self._usage is not None and self._usage.completion >= self._most_tokens
        yield Stop("length" if full else "stop")

    def recover(self, messages: Any) -> bool:
        """Look for our answer among stored messages; True when it is there, complete, and fits what was said."""
        stored = next((one for one in _objects(messages) if self.question and one.get("reply_to") == self.question), {})
        content = stored.get("content")
        if error := stored.get("error"):
            raise failure(str(error), said=bool(self._said))
        if not isinstance(content, str) or not content:
            return False
        if not self._whole and self._continued("".join(self._said), content) is None:
            raise UpstreamTruncated("The upstream's answer broke off, and the stored one is another.")
        settled = content == self._final
        self._final = content
        self._learn(stored.get("type_list"))
        # A message without its statistics may still be growing; the same text twice is not.
        self.done = settled or self._usage is not None
        return self.done

    @property
    def wants_usage(self) -> bool:
        """Whether the answer came without a count, and without it nobody knows if it was cut at the limit."""
        return self.done and self._usage is None and self.answer is not None

    def learn_usage(self, meta: Any) -> None:
        """Take the count from an answer's stored metadata."""
        self._learn(meta)

    def _take(self, frame: _Frame) -> Iterator[Event]:
        if frame.session_id and frame.session_id != self._session:
            return
        if frame.error or frame.t == "ce":
            if self._blames_us(frame):
                text = frame.error or frame.body or "unknown error"
                raise failure(str(text), frame.error_type, frame.retry_after, said=bool(self._said))
        elif frame.t == "cx":
            self._acknowledge(frame)
        elif frame.t in _ANSWERING and self._answers_us(frame):
            yield from self._content(frame)
        elif frame.t == "cd":
            self.done = not frame.reply_to_id or self._answers_us(frame)

    def _acknowledge(self, frame: _Frame) -> None:
        if frame.correlation_id != self._correlation or not isinstance(frame.message_id, str):
            return
        if self._said and self.question != frame.message_id:
            raise UpstreamMalformed("The upstream answered a question before it gave ours another name.")
        self.question = frame.message_id
        self._acknowledged = True

    def _blames_us(self, frame: _Frame) -> bool:
        if frame.correlation_id == self._correlation or frame.error_type == "rate_limit":
            return True
        if frame.reply_to_id:
            return self._answers_us(frame)
        # Old servers name only the session. Session and socket are of this one question: whose else should it be?
        return not frame.correlation_id

    def _answers_us(self, frame: _Frame) -> bool:
        if self.question is None and not self._acknowledged and isinstance(frame.reply_to_id, str):
            self.question = frame.reply_to_id or None  # servers without `cx`, or a piece that overtook it
        return self.question is not None and frame.reply_to_id == self.question

    def _content(self, frame: _Frame) -> Iterator[Event]:
        if isinstance(frame.message_id, str) and frame.message_id:
            self.answer = frame.message_id
        self._learn(frame.meta)
        if frame.t == "cp" and frame.text:
            banner = self._first and _BANNER.fullmatch(frame.text)
            self._first = False
            if not banner:
                self._said.append(frame.text)
                if not self._whole:
                    yield Text(frame.text)
        elif frame.t in ("cr", "ca"):
            self._final = frame.text or self._final
            self.done = frame.t == "ca"

    @staticmethod
    def _continued(said: str, final: str) -> str | None:
        """The whole answer, if it goes on from what was said: without the banner, or with it where it was said too."""
        return next((text for text in (_plain(final), final) if text.startswith(said)), None)

    def _learn(self, meta: Any) -> None:
        for part in _objects(meta):
            if part.get("message_type") == "usage_stats":
                self._usage = _usage(part.get("content")) or self._usage


def _plain(text: str) -> str:
    """A whole answer without the banner that some deployments put before it."""
    banner = _BANNER.match(text)
    return text[banner.end() :] if banner else text


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _usage(stats: Any) -> Usage | None:
    """The sum of the calls that an answer took; `stats` is JSON in a string."""
    try:
        read = msgspec.json.decode(stats) if isinstance(stats, str) else stats
    except msgspec.DecodeError:
        return None
    calls = _objects(read.get("usage")) if isinstance(read, dict) else []
    if not calls:
        return None
    return Usage(_sum(calls, "input_tokens"), _sum(calls, "output_tokens"))


def _sum(calls: list[dict[str, Any]], name: str) -> int:
    return sum(count for call in calls if isinstance(count := call.get(name), int) and count > 0)


_SIGNS: Final[tuple[tuple[type[Failure], re.Pattern[str]], ...]] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE | re.DOTALL))
    for kind, pattern in (
        (ContextTooLong, r"maximum context|context[ _](?:length|window|size)|prompt is too long|too many input tokens"),
        (
            ModelNotFound,
            r"\b(?:model|llm)\b.{0,80}"
            r"\b(?:unknown|unauthori[sz]ed|not (?:found|authori[sz]ed|available)|does not exist)",
        ),
        (QuotaExhausted, r"\bquota\b|\bcost limit|\bUSD\b|\b(?:daily|usage|spending|24h|24 hour) limit|max_cost"),
        (Throttled, r"rate[ _-]?limit|too many requests"),
        (SessionLost, r"\bsession\b.{0,80}\b(?:not found|unknown|does not exist|deleted|is not the session)"),
        (UpstreamStalled, r"\btimed?[ -]?out\b|TimeoutError"),
        (UpstreamOverloaded, r"overloaded|too busy|at capacity|try again later"),
        (BadRequest, r"\bError code: 4(?:00|13|22)\b"),
    )
)
_KINDS: Final[dict[Any, type[Failure]]] = {"rate_limit": Throttled, "model_access": ModelNotFound}


def failure(text: str, kind: Any = None, retry_after: Any = None, *, said: bool = False) -> Failure:
    """What an error of the service means: by its type, else by signs in its text (written for people), surest first."""
    told = f"The upstream says: {' '.join(text[: 4 * _LONGEST_COMPLAINT].split())[:_LONGEST_COMPLAINT]}"
    signs = (failing for failing, sign in _SIGNS if sign.search(text[: 16 * _LONGEST_COMPLAINT]))
    failing = _KINDS.get(kind) if isinstance(kind, str) else None
    failing = failing or next(signs, UpstreamBroken)
    if failing is UpstreamStalled and not said:
        failing = FirstTokenTimeout
    made = failing(told, param="model" if failing is ModelNotFound else None)
    if isinstance(retry_after, int | float) and retry_after >= 0:
        made.retry_after = float(retry_after)
    return made

"""One answer as the socket plays it: the frames in order, the pauses between them, and how they go wrong.

No I/O: `scene` returns steps, `socket.py` plays them. A fault is a twist: it takes the steps and gives back others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from tests.upstreams.h2ogpte.model import Answer, pieces
from tests.upstreams.h2ogpte.settings import Settings
from tests.upstreams.stage import Fault

SEPARATORS = "\u2028two\u2029three\u0085four"
BANNER = "#### LLM Only (no RAG):\n"
ENDS = frozenset({"ca", "cd", "ce"})

ERRORS: dict[str, dict[str, Any]] = {
    "ce": {"error": "Something went wrong"},
    "ce_rate_limit": {"error": "Rate limit exceeded", "error_type": "rate_limit", "retry_after": 30},
    "ce_cost": {"error": "LLM cost limit exceeded: 1.0000 USD of 1.0000 USD used in the last 24h"},
    "ce_context": {
        "error": "Error code: 400 - This model's maximum context length is 8192 tokens, your messages have 9001 tokens"
    },
    "ce_timeout": {"error": "TimeoutError: LLM gpt-4o timed out after 600.0 seconds", "at": "after_cx"},
    "ce_model": {"error": "Model is unknown or not authorized", "error_type": "model_access"},
}


class Ids(msgspec.Struct, frozen=True):
    """The names that frames refer to."""

    session: str
    correlation: str
    question: str
    answer: str
    username: str


class Frame(msgspec.Struct):
    """One object to send."""

    fields: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.fields["t"])


class Wait(msgspec.Struct, frozen=True):
    """Time goes by; None: nothing comes any more."""

    seconds: float | None


class Leave(msgspec.Struct, frozen=True):
    """The server closes (code None: resets) the connection; the answer may still be stored."""

    code: int | None
    stored: bool
    stored_after: float


class Message(msgspec.Struct):
    """One socket message: the text, what its `cp` add to the answer, and whether it ends the answer."""

    text: str
    said: str
    ends: bool
    binary: bool = False


Step = Frame | Wait | Leave
Steps = list[Step]


def scene(ids: Ids, body: str, answer: Answer, settings: Settings, fault: Fault | None) -> list[Message | Wait | Leave]:
    """Everything that happens on the socket between a question and the end of its answer."""
    name, params = (fault.name, fault.params) if fault else ("", {})
    if name == "separators":
        answer.text += SEPARATORS
    elif name == "empty":
        answer.text = ""
    elif name == "huge":
        answer.text = "x" * params.get("bytes", 6 * 2**20)
        settings = msgspec.structs.replace(settings, chunk=len(answer.text), full_frame=False)
    steps = _told(ids, body, answer, settings)
    if name in _TWISTS:
        steps = _TWISTS[name](steps, ids, params)
    elif name in ERRORS:
        steps = _ce(steps, ids, {**ERRORS[name], **params})
    if old(settings.version):
        steps = [s for s in steps if not isinstance(s, Frame) or s.kind in {"cx", "cp", "ca", "ce"}]
    return _written(steps, ids, settings, name, params)


def refusal(ids: Ids, error: str, version: str, **more: Any) -> str:
    """An error before the acknowledgement, as text."""
    return _text(_error(ids, False, {"error": error, **more}), version)


def final(ids: Ids, text: str, version: str) -> str:
    """The last frame of an answer that was stopped."""
    return _text(_reply(ids, "ca", text), version)


def old(version: str) -> bool:
    """Whether clients of this server's time break on fields and frames they do not know."""
    return tuple(int(part) for part in version.split(".")[:3]) <= (1, 6, 10)


def _told(ids: Ids, body: str, answer: Answer, settings: Settings) -> Steps:
    """The answer when all goes well."""
    usage = [answer.usage()]
    ack = {"t": "cx", "session_id": ids.session, "correlation_id": ids.correlation, "message_id": ids.question}
    steps: Steps = [Frame({**ack, "username": ids.username, "body": body, "use_agent": False})]
    if settings.status_frame:
        steps.append(Frame({"t": "cs", "session_id": ids.session, "body": "queue position 1"}))
    for number, piece in enumerate(pieces(answer.text, settings.chunk, settings.chunk_by)):
        steps.append(Wait(settings.chunk_delay if number else settings.first_token_delay))
        steps.append(_reply(ids, "cp", piece))
    if settings.full_frame or settings.ending == "cr+cd":
        steps.append(_reply(ids, "cr", answer.text))
    if settings.usage_in in {"cm", "both"}:
        steps.append(_reply(ids, "cm", "", usage))
    if settings.ending != "cr+cd":
        steps.append(_reply(ids, "ca", answer.text, usage if settings.usage_in in {"ca", "both"} else []))
    if settings.ending != "ca":
        steps.append(Frame({"t": "cd", "session_id": ids.session, "reply_to_id": ids.question}))
    return steps


def _reply(ids: Ids, kind: str, body: str, meta: list[Any] | None = None) -> Frame:
    sender = {"t": kind, "session_id": ids.session, "message_id": ids.answer, "reply_to_id": ids.question}
    return Frame({**sender, "body": body, "error": "", "meta": meta or []})


def _error(ids: Ids, acknowledged: bool, params: dict[str, Any]) -> Frame:
    text = params["error"]
    fields = {
        "t": "ce",
        "session_id": ids.session,
        "message_id": ids.answer if acknowledged else "",
        "reply_to_id": ids.question if acknowledged else "",
        "body": text if params.get("in_body") else "",
        "error": "" if params.get("in_body") else text,
    }
    fields |= {name: params[name] for name in ("error_type", "retry_after") if params.get(name) is not None}
    return Frame(fields if acknowledged else {**fields, "correlation_id": ids.correlation})


def _place(steps: Steps, at: str, pieces_before: int = 1) -> int:
    """Where in the steps a place of the answer is; mid_cp comes after so many pieces."""
    kinds = [step.kind if isinstance(step, Frame) else "" for step in steps]
    end = next(index for index, kind in enumerate(kinds) if kind in {"ca", "cd"})
    match at:
        case "before_cx":
            return 0
        case "after_cx":
            return kinds.index("cx") + 1 if "cx" in kinds else 0
        case "mid_cp":
            places = [index for index, kind in enumerate(kinds) if kind == "cp"]
            return places[min(pieces_before, len(places)) - 1] + 1 if places else end
        case "before_ca":
            return end
    raise ValueError(f"no place is called {at!r}")


def _cut(steps: Steps, params: dict[str, Any], otherwise: str, end: Step) -> Steps:
    return [*steps[: _place(steps, params.get("at", otherwise), params.get("pieces", 1))], end]


def _close(steps: Steps, _: Ids, params: dict[str, Any]) -> Steps:
    stored = params.get("stored", params.get("at") != "before_cx")
    return _cut(steps, params, "mid_cp", Leave(params.get("code", 1011), stored, params.get("stored_after", 0.0)))


def _stall(steps: Steps, _: Ids, params: dict[str, Any]) -> Steps:
    at = _place(steps, params.get("at", "mid_cp"), params.get("pieces", 1))
    return [*steps[:at], Wait(params.get("seconds")), *steps[at:]]


def _ce(steps: Steps, ids: Ids, params: dict[str, Any]) -> Steps:
    return _cut(steps, params, "before_cx", _error(ids, params.get("at", "before_cx") != "before_cx", params))


def _cp_error(steps: Steps, ids: Ids, params: dict[str, Any]) -> Steps:
    broken = _reply(ids, "cp", "")
    broken.fields["error"] = params.get("error", "the model went away")
    return _cut(steps, {**params, "at": "mid_cp"}, "mid_cp", broken)


def _unknown(steps: Steps, ids: Ids, _: dict[str, Any]) -> Steps:
    strange = Frame({"t": "cz", "session_id": ids.session, "body": ["what", "is", "this"]})
    chips = Frame({"t": "cu", "session_id": ids.session, "reply_to_id": ids.question, "body": '["And then?"]'})
    end = _place(steps, "before_ca")
    return [strange, *_between(steps[:end], strange), chips, *steps[end:]]


def _foreign(steps: Steps, ids: Ids, _: dict[str, Any]) -> Steps:
    other = _reply(msgspec.structs.replace(ids, session="00000000-0000-4000-8000-00000000f0e1"), "cp", "NOT YOURS")
    late = _reply(msgspec.structs.replace(ids, question="an-earlier-question"), "cp", "NOT THIS QUESTION")
    done = _reply(msgspec.structs.replace(ids, question="an-earlier-question"), "ca", "NOT THIS QUESTION")
    end = _place(steps, "before_ca")
    return [other, *_between(_between(steps[:end], other), late), done, *steps[end:]]


def _between(steps: Steps, frame: Frame) -> Steps:
    return [out for step in steps for out in ((step, frame) if isinstance(step, Frame) else (step,))]


def _early_piece(steps: Steps, _: Ids, __: dict[str, Any]) -> Steps:
    first = next((s for s in steps if isinstance(s, Frame) and s.kind == "cp"), None)
    return steps if first is None else [first, *(step for step in steps if step is not first)]


def _no_ack(steps: Steps, _: Ids, __: dict[str, Any]) -> Steps:
    return [step for step in steps if not (isinstance(step, Frame) and step.kind == "cx")]


def _twice(steps: Steps, _: Ids, __: dict[str, Any]) -> Steps:
    full = next((step for step in steps if isinstance(step, Frame) and step.kind == "cr"), None)
    return [out for step in steps for out in ((step, step) if step is full else (step,))]


def _no_pieces(steps: Steps, _: Ids, __: dict[str, Any]) -> Steps:
    return [step for step in steps if not (isinstance(step, Frame) and step.kind in {"cp", "cr"})]


def _banner(steps: Steps, ids: Ids, params: dict[str, Any]) -> Steps:
    text = params.get("text", BANNER)
    for step in steps:
        if isinstance(step, Frame) and step.kind in {"cr", "ca"}:
            step.fields["body"] = text + step.fields["body"]
    at = next((i for i, s in enumerate(steps) if isinstance(s, Frame) and s.kind == "cp"), _place(steps, "before_ca"))
    return [*steps[:at], _reply(ids, "cp", text), *steps[at:]]


def _differs(steps: Steps, _: Ids, params: dict[str, Any]) -> Steps:
    for step in steps:
        if isinstance(step, Frame) and step.kind == "ca":
            step.fields["body"] = params.get("body", "On second thought: something else.")
    return steps


_TWISTS: dict[str, Callable[[Steps, Ids, dict[str, Any]], Steps]] = {
    "close": _close,
    "stall": _stall,
    "cp_error": _cp_error,
    "unknown_t": _unknown,
    "foreign": _foreign,
    "cp_before_cx": _early_piece,
    "no_cx": _no_ack,
    "duplicate_cr": _twice,
    "only_ca": _no_pieces,
    "banner": _banner,
    "ca_differs": _differs,
}


def _written(
    steps: Steps, ids: Ids, settings: Settings, name: str, params: dict[str, Any]
) -> list[Message | Wait | Leave]:
    """The steps with every frame as text; the faults of framing happen here."""
    written: list[Message | Wait | Leave] = []
    for step in steps:
        if isinstance(step, Frame):
            text = _text(step, settings.version, escape=name != "separators")
            ours = step.kind == "cp" and step.fields["reply_to_id"] == ids.question
            said = step.fields["body"] if ours else ""
            written.append(Message(text, said, step.kind in ENDS or bool(step.fields.get("error"))))
        else:
            written.append(step)
    if name == "batch":
        return _batched(written, params.get("size"))
    texts = [step for step in written if isinstance(step, Message)]
    for message in texts:
        if name == "blank_lines":
            message.text = f"\n\n{message.text}\n\n"
        elif name == "crlf":
            message.text += "\r\n"
    if name == "not_json" and texts:
        written.insert(written.index(texts[len(texts) // 2]), Message('{"t":"cp","session_id":', "", False))
    if name == "binary" and len(texts) > 1:
        texts[1].binary = True
    return written


def _batched(steps: list[Message | Wait | Leave], size: int | None) -> list[Message | Wait | Leave]:
    """Messages of several lines; the pauses inside a batch are lost."""
    texts = [step for step in steps if isinstance(step, Message)]
    size = size or len(texts)
    batches = [texts[at : at + size] for at in range(0, len(texts), size)]
    return [
        Message("\n".join(m.text for m in batch), "".join(m.said for m in batch), any(m.ends for m in batch))
        for batch in batches
    ]


def _text(frame: Frame, version: str, escape: bool = True) -> str:
    """One object as JSON on one line, with the fields that the server's version knows."""
    fields = frame.fields
    if old(version):
        fields = {name: value for name, value in fields.items() if name in _OLD_FIELDS[frame.kind == "cx"]}
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    if escape:
        for character in "\u2028\u2029\u0085":
            text = text.replace(character, f"\\u{ord(character):04x}")
    return text


_OLD_FIELDS = (
    frozenset({"t", "session_id", "message_id", "reply_to_id", "body", "error"}),
    frozenset({"t", "session_id", "correlation_id", "message_id"}),
)

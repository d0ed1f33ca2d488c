"""A prompt for Gemini's `streamGenerateContent`, by the table of `upstreams/gemini.md` section 4.

What changes the meaning if lost is refused by name; what merely tunes and is unknown there is left out (`DROPS`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from parley.chat.prompt import Prompt
from parley.dialects.gemini.manner import Manner
from parley.dialects.gemini.models import thinking
from parley.dialects.gemini.schemas import cleaned, is_empty
from parley.dialects.gemini.turns import turns_of
from parley.errors import UnsupportedParameter

DROPS: Final = frozenset(
    {
        "logit_bias",
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
        "verbosity",
    }
)
MOST_CANDIDATES: Final = 8
_INT32: Final = 2**31
Body = dict[str, Any]


def encode(prompt: Prompt, manner: Manner) -> bytes:
    """The body to send. Raises UnsupportedParameter, BadRequest."""
    if prompt.prediction is not None:
        raise UnsupportedParameter("'prediction' is not supported by Gemini.", param="prediction")
    contents, instructions = turns_of(prompt, manner)
    body: Body = {"contents": contents}
    if instructions:
        body["systemInstruction"] = {"parts": [{"text": instructions}]}
    if prompt.tools:
        body["tools"] = [{"functionDeclarations": [_declared(tool["function"], manner) for tool in prompt.tools]}]
        if calling := _calling(prompt):
            body["toolConfig"] = {"functionCallingConfig": calling}
    if manner.safety:
        body["safetySettings"] = [{"category": name, "threshold": level} for name, level in manner.safety.items()]
    if generation := _generation(prompt, manner):
        body["generationConfig"] = generation
    return msgspec.json.encode(body)


def _declared(function: Body, manner: Manner) -> Body:
    told: Body = {"name": function["name"]}
    if function.get("description"):
        told["description"] = function["description"]
    parameters = function.get("parameters")
    if not parameters or is_empty(parameters):
        return told
    if manner.plain_schemas:
        return {**told, "parametersJsonSchema": parameters}
    return {**told, "parameters": cleaned(parameters)}


def _calling(prompt: Prompt) -> Body | None:
    """`functionCallingConfig`; None where it would say what holds anyway."""
    choice = prompt.tool_choice
    if isinstance(choice, str) or choice is None:
        return {"none": {"mode": "NONE"}, "required": {"mode": "ANY"}}.get(choice or "auto")
    if choice.get("type") == "allowed_tools":
        allowed = choice["allowed_tools"]
        names = [tool["function"]["name"] for tool in allowed["tools"]]
        return {"mode": "ANY" if allowed["mode"] == "required" else "VALIDATED", "allowedFunctionNames": names}
    return {"mode": "ANY", "allowedFunctionNames": [choice["function"]["name"]]}


def _generation(prompt: Prompt, manner: Manner) -> Body:
    if prompt.n is not None and prompt.n > MOST_CANDIDATES:
        raise UnsupportedParameter(f"'n' can be at most {MOST_CANDIDATES} with this model.", param="n")
    top_k = prompt.raw.get("top_k")
    told: Body = {
        "temperature": prompt.temperature,
        "topP": prompt.top_p,
        "topK": top_k if isinstance(top_k, int | float) else None,
        "maxOutputTokens": prompt.limit,
        "stopSequences": prompt.stops or None,
        "candidateCount": prompt.n if (prompt.n or 1) > 1 else None,
        "seed": None if prompt.seed is None else prompt.seed % _INT32,
        "presencePenalty": (prompt.presence_penalty or None) if manner.penalties else None,
        "frequencyPenalty": (prompt.frequency_penalty or None) if manner.penalties else None,
        "responseLogprobs": prompt.logprobs or None,
        "logprobs": prompt.top_logprobs,
        "thinkingConfig": _thinking(prompt, manner) or None,
        **_format(prompt, manner),
    }
    return {name: value for name, value in told.items() if value is not None}


def _thinking(prompt: Prompt, manner: Manner) -> Body:
    told = thinking(prompt.model, prompt.reasoning_effort)
    if not manner.thinking:
        return {}
    if not manner.thoughts:
        told.pop("includeThoughts", None)
    return told


def _format(prompt: Prompt, manner: Manner) -> Body:
    wanted = prompt.response_format
    if wanted is None or wanted.type == "text":
        return {}
    told: Body = {"responseMimeType": "application/json"}
    schema = (wanted.json_schema or {}).get("schema") if wanted.type == "json_schema" else None
    if schema and manner.plain_schemas:
        told["responseJsonSchema"] = schema
    elif schema:
        told["responseSchema"] = cleaned(schema)
    return told

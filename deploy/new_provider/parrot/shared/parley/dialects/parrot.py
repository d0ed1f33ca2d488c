"""What Parrot is asked and says: one text out, lines of JSON back, the last of which says that it is done.

{"text": "Pretty "}
{"text": "polly."}
{"done": true}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from parley.chat.events import Event, Stop, Text
from parley.chat.prompt import Prompt
from parley.dialects import plain
from parley.dialects.challenge import is_challenge, is_page
from parley.dialects.hints import retry_after
from parley.errors import (
    BadRequest,
    Challenged,
    CredentialRejected,
    Failure,
    Throttled,
    UpstreamBroken,
    UpstreamEmpty,
    UpstreamMalformed,
    UpstreamTruncated,
)


class Line(msgspec.Struct):
    """One line of an answer."""

    text: str = ""
    done: bool = False


def encode(prompt: Prompt) -> bytes:
    """The body of a question: it knows no turns, so they are told in one text. Raises BadRequest."""
    text = plain.told(prompt.messages, plain.instructions(prompt.messages))
    return msgspec.json.encode({"voice": prompt.model, "text": text})


class Decoder:
    """Reads one 200: feed it the body's lines as they come, then `finish`. Both raise Failure."""

    def __init__(self) -> None:
        self._said = False
        self._done = False

    def feed(self, line: bytes) -> Iterator[Event]:
        """The words in a line."""
        try:
            said = msgspec.json.decode(line, type=Line)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            raise UpstreamMalformed("The upstream's answer has a line that is not its own.") from problem
        self._done = self._done or said.done
        if said.text:
            self._said = True
            yield Text(said.text)

    def finish(self) -> Iterator[Event]:
        """The end of the body. Nobody invents a Stop: it is there because the upstream said that it is done."""
        if self._said and self._done:
            yield Stop("stop")
        elif self._said:
            raise UpstreamTruncated("The upstream's answer ended before it was done.")
        else:
            raise UpstreamEmpty("The upstream said nothing.")


def voices(body: bytes) -> list[str]:
    """The list of models. Raises UpstreamMalformed."""
    try:
        return msgspec.json.decode(body, type=dict[str, list[str]])["voices"]
    except (msgspec.DecodeError, KeyError) as problem:
        raise UpstreamMalformed("The upstream's list of voices cannot be read.") from problem


def failure_of(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """What an answer that is none means: who is to blame, and whether it is worth another try."""
    if is_page(headers.get("content-type", ""), body) and is_challenge(headers, body):
        return Challenged("The upstream shows a page that asks for a human.", upstream_status=status)
    match status:
        case 400 | 422:
            return BadRequest("The upstream does not understand the question.", upstream_status=status)
        case 401 | 403:
            return CredentialRejected("The upstream does not know this key.", upstream_status=status)
        case 429:
            return Throttled(
                "The upstream asks for patience.", retry_after=retry_after(headers), upstream_status=status
            )
        case _:
            return UpstreamBroken(f"The upstream answered {status}.", upstream_status=status)

"""The path of a request, on one screen: route, lease and stream with failover, trim, count, account."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounting import Tally
from gateway.counting import counted, ready
from gateway.relay import Relay
from gateway.routing import Directory
from gateway.trim import Trim
from parley.catalog import Caller
from parley.chat.answer import Answer
from parley.chat.events import Event, Events, Usage
from parley.chat.prompt import Prompt
from parley.clock import monotonic
from parley.tokens import count


@dataclass(frozen=True, slots=True)
class Converse:
    """Answers prompts: called with a prompt, gives its events."""

    directory: Directory
    relay: Relay

    async def __call__(self, prompt: Prompt, caller: Caller, tally: Tally) -> Events:
        """Answer `prompt`; the last event before the end is Usage. Raises Failure; closing it stops the upstream."""
        tally.caller, tally.model = caller.name, prompt.model
        plan = self.directory.plan(prompt)
        native = frozenset.intersection(*(place.provider.features for place in plan.places))
        stops = [] if "stop" in native else prompt.stops
        limit = None if "max_tokens" in native else prompt.limit
        trim = Trim(stops, limit, count) if stops or limit is not None else None
        if limit is not None:
            await ready()
        said = Answer()

        try:
            trial = await self.relay.first_to_speak(plan, prompt, tally)
            tally.first_event = monotonic()
            async with trial:
                event: Event | None = trial.first
                while event is not None:
                    for piece in trim.feed(event) if trim else (event,):
                        said.add(piece)
                        if not isinstance(piece, Usage):
                            yield piece
                    if trim and trim.done:
                        trial.suffices()
                        break
                    event = await trial.next()
            if said.usage is None:
                said.usage = await counted(prompt, said)
            tally.usage = said.usage
            yield said.usage
        finally:
            if tally.usage is None and tally.first_event is not None:  # hung up or broken off: what it came to by then
                tally.usage = await counted(prompt, said)

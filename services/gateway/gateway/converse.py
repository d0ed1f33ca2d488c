"""The path of a request, on one screen: route, admit, plan, lease and stream with failover, trim, count, account."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounting import Tally
from gateway.contents import contents
from gateway.counting import counted, ready
from gateway.limiter import Limiter
from gateway.planning import Planner
from gateway.relay import Relay
from gateway.routing import Choice, Directory
from gateway.trial import Trial
from gateway.trim import Trim
from parley.catalog import Caller
from parley.chat.answer import Answer
from parley.chat.defaults import filled
from parley.chat.events import Event, Events, Usage
from parley.chat.prompt import Prompt
from parley.clock import monotonic
from parley.tokens import count


@dataclass(frozen=True, slots=True)
class Converse:
    """Answers prompts: called with a prompt, gives its events."""

    limiter: Limiter
    planner: Planner
    relay: Relay

    async def __call__(
        self, directory: Directory, prompt: Prompt, caller: Caller, tally: Tally, said: Answer
    ) -> Events:
        """Answer `prompt`; the last event before the end is Usage. Raises Failure; closing it stops the upstream.

        What was said, by these events or through `tally.say`, is in `said`, too.
        """
        tally.caller, tally.model = caller.name, prompt.model
        if caller.defaults:
            prompt = filled(prompt, caller.defaults)
        choices = directory.choices(prompt, caller)
        if isinstance(choices[0], Choice):
            tally.route = choices[0].route
        permit, prompt = await self.limiter.ask(directory.catalog, caller, choices, prompt, tally)
        plan = await self.planner.plan(choices, prompt, permit.id if permit else "")
        if caller.contents:
            tally.contents = lambda: contents(prompt, said)
        try:
            trial = await self.relay.first_to_speak(plan, prompt, tally, permit)
            tally.first_event = monotonic()
            async with trial:
                trim = await _trimming(trial)
                if trim is None and tally.say is not None:
                    trial.shorten(tally.say, said.add)
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
            if tally.speaker is not None:
                tally.speaker.bytes = said.size
            if tally.usage is None and tally.first_event is not None:  # hung up or broken off: what it came to by then
                tally.usage = await counted(prompt, said)


async def _trimming(trial: Trial) -> Trim | None:
    """What the candidate that speaks cannot keep by itself; None when it can keep all that it was asked."""
    asked, native = trial.asked, trial.candidate.provider.features
    stops = [] if "stop" in native else asked.stops
    limit = None if "max_tokens" in native else asked.limit
    if not stops and limit is None:
        return None
    if limit is not None:
        await ready()
    return Trim(stops, limit, count)

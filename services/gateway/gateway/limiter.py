"""The limiter: what a request may still use of the limits of its key, its model and the credential that it is lent.

What each of them means: docs/limits.md. What an answer will take is not known before, so its worst case is reserved:
the prompt as our tokenizer counts it, and as many tokens as the request allows, for each of its choices. Where the
request allows any number, ANSWER_TOKENS are reserved; and where tokens or money are budgeted, that is put into the
request, so that a budget cannot be overspent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.accounting import Tally
from gateway.counting import prompt_counted
from gateway.routing import Candidate, Choice, Choices, called
from parley.catalog import UNLIMITED, Caller, Catalog, Defaults, Limits
from parley.chat.defaults import filled
from parley.chat.events import Usage
from parley.chat.prompt import Prompt
from parley.leases import Lease
from parley.prices import Prices
from parley.state.admission import Admission
from parley.state.asked import Asked
from parley.state.scopes import NOTHING, Amounts, Room, Scope


class Permit:
    """What one request may use: asked for at once, granted a moment later, settled when the request is over."""

    __slots__ = ("_admission", "asked")

    def __init__(self, admission: Admission, asked: Asked) -> None:
        self._admission = admission
        self.asked = asked

    @property
    def id(self) -> str:
        """Under which Redis has it on record when it is granted; empty where nothing is left to be found out."""
        return self.asked.id

    @property
    def decided(self) -> bool:
        """Whether it is known by now."""
        return self.asked.decided

    async def granted(self) -> None:
        """Wait until it is. Raises OverLimit (a LimitReached), StateUnavailable."""
        await self.asked.granted()

    @property
    def rooms(self) -> tuple[Room | None, Room | None]:
        """What the tightest limits leave, of requests and of tokens, where there are some and it was granted."""
        admitted = self.asked.admitted
        return (admitted.requests, admitted.tokens) if admitted else (None, None)

    def over(self, tokens: int, cost: int) -> None:
        """The request took so much. What was not granted yet is taken back."""
        if (admitted := self.asked.admitted) is not None:
            self._admission.settle(admitted, tokens, cost)
        else:
            self._admission.void(self.asked)


@dataclass(frozen=True, slots=True)
class Limiter:
    """Asks for permits."""

    admission: Admission
    prices: Callable[[], Prices]
    """The table in force."""
    answer_tokens: int
    """Reserved for an answer whose request does not say how long it may be."""

    async def ask(
        self, catalog: Catalog, caller: Caller, choices: Choices, prompt: Prompt, tally: Tally
    ) -> tuple[Permit | None, Prompt]:
        """Ask for what this request may use; None where nothing is limited. Redis is asked and not waited for.

        The prompt that comes back has a limit of its own where a budget needs one.
        """
        scopes = list(_scopes(catalog, caller, choices[0], prompt))
        if not scopes:
            return None, prompt
        counts = [limits for _, limits in scopes if _counts_tokens(limits)]
        if not counts:
            permit = Permit(self.admission, self.admission.ask(scopes, tokens=0, cost=0))
        else:
            worst, prompt = await self._worst(prompt, list(_candidates(choices)), counts)
            permit = Permit(self.admission, self.admission.ask(scopes, tokens=worst.tokens, cost=worst.cost))
        tally.permit = permit
        return permit, prompt

    async def with_lease(self, candidate: Candidate, prompt: Prompt) -> tuple[Amounts, Prompt]:
        """What is to be reserved of the limits of the credential that is lent, and the prompt as above."""
        upstream = candidate.upstream
        limited = [upstream.limits, *(plan.limits for plan in upstream.credentials if plan.limits is not None)]
        counts = [limits for limits in limited if _counts_tokens(limits)]
        return await self._worst(prompt, [candidate], counts) if counts else (NOTHING, prompt)

    def over(self, lease: Lease, tokens: int, cost: int) -> None:
        """What was asked with a lease took so much."""
        self.admission.settle(lease, tokens, cost)

    async def _worst(
        self, prompt: Prompt, candidates: Sequence[Candidate], limits: Iterable[Limits]
    ) -> tuple[Amounts, Prompt]:
        """What the answer takes where it takes most, of tokens and of money; what has no price is not counted."""
        longest = prompt.limit
        if longest is None:
            longest = max(_default_limit(candidate.defaults) or self.answer_tokens for candidate in candidates)
            if any(found.budgets for found in limits):
                prompt = filled(prompt, {"max_completion_tokens": longest})
        worst = Usage(await prompt_counted(prompt), longest * (prompt.n or 1), measured=False)
        prices = self.prices()
        cost = max(prices.cost(f"{candidate.upstream.name}/{candidate.model}", worst) or 0 for candidate in candidates)
        return Amounts(worst.prompt + worst.completion, cost), prompt


def _scopes(catalog: Catalog, caller: Caller, first: Candidate | Choice, prompt: Prompt) -> Iterator[Scope]:
    if caller.limits != UNLIMITED:
        yield f"key:{caller.name}", caller.limits
    if catalog.model_limits.limits and (limit := catalog.model_limits.of(*called(first, prompt.model))) is not None:
        yield f"model:{limit.model}", limit.limits


def counts_tokens(catalog: Catalog) -> bool:
    """Whether any limit of a catalog is one of tokens, or of what they cost."""
    limits = [caller.limits for caller in catalog.callers.values()]
    limits += [limit.limits for limit in catalog.model_limits.limits]
    for upstream in catalog.upstreams.values():
        limits += [upstream.limits, *(plan.limits for plan in upstream.credentials if plan.limits is not None)]
    return any(map(_counts_tokens, limits))


def _counts_tokens(limits: Limits) -> bool:
    """Whether it must be known how many tokens a request may take."""
    return bool(limits.tokens_per_minute or limits.tokens_per_day or limits.budgets)


def _candidates(choices: Choices) -> Iterator[Candidate]:
    for choice in choices:
        yield from choice.candidates if isinstance(choice, Choice) else (choice,)


def _default_limit(defaults: Defaults) -> int | None:
    return defaults.get("max_completion_tokens") or defaults.get("max_tokens")

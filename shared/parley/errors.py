"""Everything that can go wrong with an answer, drawn once.

Failure
├── Refusal                      the caller asked for something we will not or cannot do
│   ├── BadRequest               400, and its kin: UnsupportedParameter, ContextTooLong
│   ├── Unauthenticated          401, a missing or wrong key of ours
│   ├── NotFromHere              403, a key of ours that is not for this address
│   ├── NotFound                 404: ModelNotFound (ModelElsewhere: not with this credential), UnknownURL
│   ├── WrongMethod              405
│   └── TooLarge                 413
├── CredentialFailure            the upstream does not honour the credential just now
│   ├── CredentialExpired        the sign-in ran out; it can be renewed
│   ├── CredentialRejected       refused for good, as far as we can tell
│   ├── Throttled                told to slow down; TokensThrottled: by tokens; ModelThrottled: with this model alone
│   └── QuotaExhausted           nothing left until a billing period ends; ModelExhausted: for this model alone
├── UpstreamFailure              the upstream itself
│   ├── Unreachable              no connection
│   ├── UpstreamBroken           it answered with a failure of its own
│   ├── UpstreamOverloaded       it says it is busy
│   ├── AddressThrottled         it counts what comes from our address, whoever asks
│   ├── Challenged               a page for humans stands in the way
│   ├── SessionLost              the session we were lent is not known there any more
│   ├── UpstreamMalformed        its answer cannot be understood
│   ├── UpstreamEmpty            its answer has nothing in it
│   ├── UpstreamTruncated        its answer broke off
│   └── UpstreamStalled          it fell silent: FirstTokenTimeout, AnswerTimeout
└── GatewayFailure               our side
    ├── NothingToLend            no credential is configured, or all are resting
    ├── LimitReached             a limit of an upstream; or one of ours: OverLimit, and its kin OverTokens, OverBudget
    ├── QueueFull                too many already wait, or the wait grew too long
    └── StateUnavailable         Redis is needed here and does not answer

A class states facts, and the stops of a request read them; none branches on a class or a text:

* `status`, `type`, `code`: what the caller sees (envelope of `upstreams/openai.md` section 3);
* `blames`: who is at fault, for the vault: `credential` rests one credential, `upstream` rests the whole upstream;
* `of_model`: whether what rests is a credential for the model that was asked, and not for its others;
* `try_next`: whether another credential or target may be asked while nothing has been said yet;
* `strains`: whether asking again may add to what ails the upstream, so that the budget for retries pays for it;
* `rest`, `longest_rest`: seconds a blamed party rests when nobody said how long, and the most we believe a hint;
* `patience`: how many such failures in a row it takes before an upstream rests;
* `kind`: what operators count it as, a word out of few (`KINDS`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, Literal, get_args

Blame = Literal["caller", "credential", "upstream", "gateway"]
Kind = Literal[
    "refused",
    "unauthenticated",
    "limited",
    "throttled",
    "credential",
    "unreachable",
    "timeout",
    "broken",
    "challenged",
    "unavailable",
    "internal",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""Redis counts by their places in this row (`parley.state.meter`): a new one goes to the end."""


class Failure(Exception):
    """An answer that will not come, or will not be completed."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: str | None = "internal_error"
    blames: ClassVar[Blame] = "gateway"
    of_model: ClassVar[bool] = False
    try_next: ClassVar[bool] = False
    strains: ClassVar[bool] = True
    rest: ClassVar[float] = 0.0
    longest_rest: ClassVar[float] = 0.0
    patience: ClassVar[int] = 1
    kind: ClassVar[Kind] = "internal"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        upstream_status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after
        """Seconds after which asking again makes sense, if anybody knows."""
        self.upstream_status = upstream_status
        """The HTTP status the upstream gave, for the record."""
        self.details: dict[str, Any] = {}
        """Further members of the envelope's `error`, made of words of ours alone (Azure's `innererror`)."""

    @property
    def reason(self) -> str:
        """A short stable word for logs, metrics and the vault."""
        return self.code or type(self).__name__.lower()

    def keep_out(self, cleaned: Callable[[str], str]) -> None:
        """Pass everything that came from an upstream through `cleaned`; a name that it changes is no name any more."""
        self.message = cleaned(self.message)
        self.args = (self.message,)
        for name in ("code", "param"):
            said = vars(self).get(name)
            if said and cleaned(said) != said:
                setattr(self, name, None)


# --- the caller ---------------------------------------------------------------------------------------------------


class Refusal(Failure):
    """The caller asked for something we will not or cannot do."""

    status = 400
    type = "invalid_request_error"
    code: str | None = None
    blames = "caller"
    kind: ClassVar[Kind] = "refused"


class BadRequest(Refusal):
    """The request is malformed; `code` says how."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        upstream_status: int | None = None,
    ) -> None:
        super().__init__(message, param=param, upstream_status=upstream_status)
        self.code = code  # a malformed request has many codes, each without behaviour of its own


class UnsupportedParameter(Refusal):
    """A field whose loss would change the meaning of the answer, asked of an upstream that cannot honour it."""

    code = "unsupported_parameter"


class ContextTooLong(Refusal):
    """The upstream says that the conversation does not fit its model."""

    code = "context_length_exceeded"


class Unauthenticated(Refusal):
    """No key of ours, or a wrong one."""

    status = 401
    code: str | None = "invalid_api_key"
    kind = "unauthenticated"


class NotFromHere(Refusal):
    """The key is good, and not from the address that it was used from."""

    status = 403
    type = "permission_error"
    code = "address_not_allowed"
    kind = "unauthenticated"


class ModelNotFound(Refusal):
    """No upstream serves this model name."""

    status = 404
    code = "model_not_found"


class ModelElsewhere(ModelNotFound):
    """The account of this credential does not have the model; that of another one may."""

    try_next = True
    strains = False


class UnknownURL(Refusal):
    """Nothing lives at this path."""

    status = 404
    code = "unknown_url"


class WrongMethod(Refusal):
    """The path exists, the method does not."""

    status = 405
    code = "method_not_allowed"


class TooLarge(Refusal):
    """The body is larger than MAX_BODY_MB."""

    status = 413
    code = "request_too_large"


# --- the credential -----------------------------------------------------------------------------------------------


class CredentialFailure(Failure):
    """The upstream does not honour the credential just now."""

    blames = "credential"
    try_next = True
    kind: ClassVar[Kind] = "credential"


class CredentialExpired(CredentialFailure):
    """The sign-in ran out. A provider that can renew does; the credential does not rest for it."""

    status = 503
    code = "upstream_credential_expired"
    strains = False


class CredentialRejected(CredentialFailure):
    """The upstream refuses the operator's credential: never a 401 for the caller, whose key is fine."""

    status = 502
    code = "upstream_authentication_error"
    strains = False
    rest = 60.0
    longest_rest = 3600.0


class Throttled(CredentialFailure):
    """The upstream asked us to slow down."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"
    kind = "throttled"
    rest = 20.0
    longest_rest = 900.0


class TokensThrottled(Throttled):
    """The upstream asked us to slow down because of how many tokens went through, not how many requests."""

    type = "tokens"


class ModelThrottled(Throttled):
    """The upstream asked us to slow down with one model."""

    of_model = True


class QuotaExhausted(CredentialFailure):
    """The credential's quota is used up."""

    status = 429
    type = "insufficient_quota"
    code = "insufficient_quota"
    kind = "throttled"
    rest = 600.0
    longest_rest = 6 * 3600.0


class ModelExhausted(QuotaExhausted):
    """The credential's quota for one model is used up, or it never had any; others may be asked with it."""

    of_model = True


# --- the upstream -------------------------------------------------------------------------------------------------


class UpstreamFailure(Failure):
    """The upstream itself failed."""

    status = 502
    code = "upstream_error"
    blames = "upstream"
    try_next = True
    kind: ClassVar[Kind] = "broken"


class Unreachable(UpstreamFailure):
    """No connection could be made."""

    code = "upstream_unreachable"
    kind = "unreachable"
    rest = 2.0
    longest_rest = 60.0
    patience = 2


class UpstreamBroken(UpstreamFailure):
    """The upstream answered with a failure of its own (5xx, or an error inside the stream)."""


class UpstreamOverloaded(UpstreamFailure):
    """The upstream says it is too busy."""

    status = 503
    code = "server_is_overloaded"


class AddressThrottled(UpstreamFailure):
    """The upstream asked our address to slow down: another credential on the same way out would only be counted too."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"
    kind = "throttled"
    rest = 60.0
    longest_rest = 900.0


class Challenged(UpstreamFailure):
    """A challenge or block page stands between us and the upstream; nothing is done to get past it."""

    status = 503
    code = "upstream_challenge"
    kind = "challenged"
    try_next = False
    rest = 300.0
    longest_rest = 1800.0


class SessionLost(UpstreamFailure):
    """The upstream does not know the session we were lent; another one may do."""

    code = "upstream_session_lost"
    strains = False


class UpstreamMalformed(UpstreamFailure):
    """The upstream's answer cannot be understood."""

    code = "upstream_malformed"


class UpstreamEmpty(UpstreamFailure):
    """The upstream's answer ended properly and has nothing in it."""

    code = "upstream_empty"


class UpstreamTruncated(UpstreamFailure):
    """The upstream's answer broke off before it was complete."""

    code = "upstream_truncated"


class UpstreamStalled(UpstreamFailure):
    """The upstream fell silent in the middle of an answer."""

    status = 504
    code = "upstream_stalled"
    kind = "timeout"


class FirstTokenTimeout(UpstreamStalled):
    """The upstream accepted the request and said nothing in time."""

    code = "upstream_timeout"


class AnswerTimeout(UpstreamStalled):
    """The whole answer took longer than allowed."""

    code = "upstream_timeout"
    try_next = False


# --- our side -----------------------------------------------------------------------------------------------------


class GatewayFailure(Failure):
    """Our side cannot serve this request now."""

    status = 503
    kind: ClassVar[Kind] = "unavailable"


class NothingToLend(GatewayFailure):
    """No credential can be lent: none is configured, or every one of them is resting."""

    code = "no_credential_available"
    try_next = True


class LimitReached(GatewayFailure):
    """Every credential rests because its upstream said that a limit is reached."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"
    kind = "limited"
    try_next = True


class OverLimit(LimitReached):
    """A limit of ours is reached, of requests or of answers at a time; it says which (`limit`) of whom (`scope`)."""

    blames = "caller"
    try_next = False

    def __init__(self, message: str, *, scope: str = "", limit: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.scope = scope
        self.limit = limit
        """The field of `Limits`, or UNIT_per_PERIOD or UNIT_total of a budget."""
        self.requests: tuple[int, int, float] | None = None
        """What the tightest limit of requests leaves: limit, remaining, seconds until all of it is back."""
        self.tokens: tuple[int, int, float] | None = None
        """The same of tokens."""


class OverTokens(OverLimit):
    """A limit of tokens is reached."""

    type = "tokens"


class OverBudget(OverLimit):
    """A budget is spent, or what is left of it is not enough for this request at its worst."""

    type = "insufficient_quota"
    code = "insufficient_quota"


class QueueFull(GatewayFailure):
    """Every credential is busy or has reached its limits, and the queue for them is full or the wait grew too long."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"
    kind = "limited"
    try_next = True


class StateUnavailable(GatewayFailure):
    """Redis is needed here and does not answer in time."""

    code = "state_unavailable"
    try_next = True

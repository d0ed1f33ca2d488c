"""What an operator may set for an upstream of this kind."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from parley.catalog import Upstream
from parley.dialects.claude_web import LOCALES, Effort, Manner

SITE: Final = "https://claude.ai"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one upstream."""

    transport: Literal["browser", "http"] = "browser"
    """Whose connection it looks like: a browser's (cloudscraper), or a plain client's. Which one the site's front
    door lets in depends on the address that we come from."""
    user_agent: str = ""
    """A `cf_clearance` cookie is good only with the name of the browser that got it. Empty: the transport's own."""
    whole_cookie: bool = False
    """Send every cookie that was pasted, not only those that the site needs."""
    temporary: bool = True
    """Conversations in no list of the account; they are deleted afterwards in any case."""
    effort: Effort = "low"
    """For requests that name none."""
    locale: str = "en-US"
    """Of the browser that it looks like."""
    timezone: str = "UTC"
    """The same, by its IANA name."""
    attach_over: Annotated[int, msgspec.Meta(ge=1000)] = 100_000
    """Letters above which a conversation is sent as an attached file."""
    recovery_seconds: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    """How long the rest of an answer whose stream broke is looked for."""

    def __post_init__(self) -> None:
        if self.locale not in LOCALES:
            raise ValueError(f"locale must be one of {', '.join(LOCALES)}")

    @property
    def manner(self) -> Manner:
        """How it is asked."""
        return Manner(self.temporary, self.effort, self.locale, self.timezone, self.attach_over)


def read(upstream: Upstream) -> Options:
    """The options of an upstream. Raises msgspec.ValidationError."""
    return msgspec.convert(dict(upstream.options), Options)

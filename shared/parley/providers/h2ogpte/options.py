"""What an operator may set for an h2oGPTe upstream, beyond what every upstream has."""

from __future__ import annotations

from typing import Final

import msgspec

from parley.catalog import Upstream
from parley.dialects.h2ogpte import Manner
from parley.settings import ConfigurationError

GUEST_WORKSPACE: Final = "workspaces/h2ogpte-guest"
_WORKSPACES: Final = "workspaces/"
_WEB_MAX_COST: Final = 0.05
_USER_AGENT: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
)


class Options(Manner, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one upstream. Those of `Manner` shape each question."""

    workspace: str | None = None
    """Where an account's own chat sessions are opened: `workspaces/<uuid>`."""
    guest_workspace: str = GUEST_WORKSPACE
    """Where a guest's are; a guest may use no other."""
    user_agent: str = _USER_AGENT
    """Of a web session: the page, the calls and the socket say the same."""
    recovery_seconds: float = 10.0
    """How long an answer whose socket broke is looked for among the stored messages."""

    @property
    def web(self) -> Options:
        """The same for a web session, where the service's own page caps what one answer may cost."""
        return self if self.max_cost is not None else msgspec.structs.replace(self, max_cost=_WEB_MAX_COST)


def read(upstream: Upstream) -> Options:
    """The upstream's options, checked together with its credentials. Raises ConfigurationError, or msgspec's own."""
    options = msgspec.convert(dict(upstream.options), Options)
    own = [plan for plan in upstream.credentials if not plan.guest]
    for plan in own:
        if not plan.parts.keys() & {"api_key", "value", "cookie"}:
            raise ConfigurationError(
                f"upstream '{upstream.name}': credential '{plan.alias}' needs api_key, or cookie and csrf."
            )
    if own and options.workspace is not None:
        named = options.workspace.removeprefix(_WORKSPACES)
        if named == options.workspace or not named or options.workspace == options.guest_workspace:
            raise ConfigurationError(
                f"upstream '{upstream.name}': workspace (H2OGPTE_WORKSPACE_ID) must be workspaces/<uuid> "
                f"of the account, not '{options.workspace}'."
            )
    if upstream.credentials and not own and options.prompt_template:
        raise ConfigurationError(
            f"upstream '{upstream.name}': guests have no prompt templates; "
            "leave prompt_template (H2OGPTE_PROMPT_TEMPLATE_ID) empty, or sign in."
        )
    return options

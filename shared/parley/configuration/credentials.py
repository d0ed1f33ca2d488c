"""Credentials as people write them: one variable, or a list whose items are strings or objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from pydantic import SecretStr

from parley.catalog import CredentialPlan, Timeouts
from parley.sealed import Secret
from parley.settings import ConfigurationError, is_placeholder

_TIMEOUTS: Final = tuple(field.name for field in fields(Timeouts))


def credentials(
    family: str, single: SecretStr | None, several: Sequence[Any], *, part: str = "value", name: str | None = None
) -> tuple[CredentialPlan, ...]:
    """Credentials of one family: its single variable first, then its JSON list.

    `part` is what a bare string is (`name`: the single variable's own). Raises ConfigurationError.
    """
    plans = []
    if single is not None:
        value = single.get_secret_value().strip()
        refuse_placeholder(name or f"{family}_API_KEY", value)
        plans.append(CredentialPlan(f"{family.lower()}-1", {part: Secret(value)}))
    for position, item in enumerate(several):
        plans.append(
            credential(
                item, where=f"{family}_CREDENTIALS[{position}]", alias=f"{family.lower()}-{len(plans) + 1}", part=part
            )
        )
    if len({plan.alias for plan in plans}) < len(plans):
        raise ConfigurationError(f"{family}_CREDENTIALS: two credentials have the same alias.")
    return tuple(plans)


def credential(item: Any, *, where: str, alias: str, part: str = "value") -> CredentialPlan:
    """One credential: a string, or an object of parts, alias, proxy, base_url and timeouts.

    Raises ConfigurationError, naming `where` and showing nothing of the value.
    """
    if isinstance(item, str):
        item = {"value": item}
    facts: dict[str, Any] = dict(item) if isinstance(item, dict) else {}
    timeouts = _timeouts(facts.pop("timeouts", {}), f"{where}.timeouts")
    if not isinstance(item, dict) or not all(isinstance(value, str) for value in facts.values()):
        raise ConfigurationError(f"{where} must be a string, or an object whose members (but timeouts) are strings.")
    facts = {name: value.strip() for name, value in facts.items()}
    alias = facts.pop("alias", alias)
    proxy, base_url = facts.pop("proxy", None), facts.pop("base_url", None)
    if "value" in facts:
        facts[part] = facts.pop("value")
    if not facts or not all(facts.values()):
        raise ConfigurationError(f"{where} has no value.")
    for name, value in facts.items():
        refuse_placeholder(f"{where}.{name}", value)
    parts = {name: Secret(value) for name, value in facts.items()}
    return CredentialPlan(alias, parts, proxy=Secret(proxy) if proxy else None, base_url=base_url, timeouts=timeouts)


def refuse_placeholder(name: str, value: str) -> None:
    """Raise ConfigurationError when a secret was left as the sample has it."""
    if is_placeholder(value):
        raise ConfigurationError(
            f"{name} still holds the sample's placeholder; put your own value there, or remove it."
        )


def _timeouts(said: Any, where: str) -> Mapping[str, float]:
    known = ", ".join(_TIMEOUTS)
    if not isinstance(said, dict) or any(name not in _TIMEOUTS for name in said):
        raise ConfigurationError(f"{where} must be an object with some of: {known}.")
    for name, seconds in said.items():
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
            raise ConfigurationError(f"{where}.{name} must be a number of seconds above 0.")
    return {name: float(seconds) for name, seconds in said.items()}

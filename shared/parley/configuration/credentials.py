"""Credentials as people write them: one variable, or a list whose items are strings or objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from parley.catalog import CredentialPlan, Limits, Timeouts
from parley.configuration.entries import mistakes
from parley.configuration.limits import LimitsEntry
from parley.sealed import Secret
from parley.settings import ConfigurationError, is_placeholder

_BUT: Final = "but for timeouts, limits and disabled"
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
    """One credential: a string, or an object of parts, alias, proxy, base_url, timeouts, limits and disabled.

    Raises ConfigurationError, naming `where` and showing nothing of the value.
    """
    plan = changed_credential(CredentialPlan(alias, {}), item, where=where, part=part)
    if not plan.parts:
        raise ConfigurationError(f"{where} has no value.")
    return plan


def changed_credential(plan: CredentialPlan, item: Any, *, where: str, part: str = "value") -> CredentialPlan:
    """A credential with what an item says about it; what it does not mention stays, its secret parts all together.

    An empty proxy or base_url takes that away. Raises ConfigurationError as `credential`.
    """
    if isinstance(item, str):
        item = {"value": item}
    facts: dict[str, Any] = dict(item) if isinstance(item, dict) else {}
    changes = _beside_texts(facts, where)
    if not isinstance(item, dict) or not all(isinstance(value, str) for value in facts.values()):
        raise ConfigurationError(f"{where} must be a string, or an object whose members are strings ({_BUT}).")
    facts = {name: value.strip() for name, value in facts.items()}
    if "alias" in facts:
        changes["alias"] = facts.pop("alias")
    if "proxy" in facts:
        changes["proxy"] = Secret(proxy) if (proxy := facts.pop("proxy")) else None
    if "base_url" in facts:
        changes["base_url"] = facts.pop("base_url") or None
    if "value" in facts:
        facts[part] = facts.pop("value")
    if not all(facts.values()):
        raise ConfigurationError(f"{where} has no value.")
    for name, value in facts.items():
        refuse_placeholder(f"{where}.{name}", value)
    if facts:
        changes["parts"] = {name: Secret(value) for name, value in facts.items()}
    return replace(plan, **changes)


def _beside_texts(facts: dict[str, Any], where: str) -> dict[str, Any]:
    """Takes what is no text out of the facts."""
    found: dict[str, Any] = {}
    if "timeouts" in facts:
        found["timeouts"] = _timeouts(facts.pop("timeouts"), f"{where}.timeouts")
    if "limits" in facts:
        found["limits"] = _limits(facts.pop("limits"), f"{where}.limits")
    if "disabled" in facts:
        found["disabled"] = facts.pop("disabled")
        if not isinstance(found["disabled"], bool):
            raise ConfigurationError(f"{where}.disabled must be true or false.")
    return found


def refuse_placeholder(name: str, value: str) -> None:
    """Raise ConfigurationError when a secret was left as the sample has it."""
    if is_placeholder(value):
        raise ConfigurationError(
            f"{name} still holds the sample's placeholder; put your own value there, or remove it."
        )


def _limits(said: Any, where: str) -> Limits | None:
    if said is None:
        return None
    try:
        return LimitsEntry.model_validate(said).limits()
    except ValidationError as problem:
        raise ConfigurationError(f"{where}: {mistakes(problem)}") from None


def _timeouts(said: Any, where: str) -> Mapping[str, float]:
    known = ", ".join(_TIMEOUTS)
    if not isinstance(said, dict) or any(name not in _TIMEOUTS for name in said):
        raise ConfigurationError(f"{where} must be an object with some of: {known}.")
    for name, seconds in said.items():
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
            raise ConfigurationError(f"{where}.{name} must be a number of seconds above 0.")
    return {name: float(seconds) for name, seconds in said.items()}

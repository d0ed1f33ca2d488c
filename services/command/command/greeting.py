"""What `parley up` says when all runs."""

from __future__ import annotations

from collections.abc import Sequence

from command.parts import Running
from command.plan import Plan

_QUESTION = '{"model": "echo", "messages": [{"role": "user", "content": "Hello, Parley!"}]}'


def greeting(plan: Plan, parts: Sequence[Running]) -> str:
    """The parts, the address, and a line to paste."""
    return "\n".join(
        [
            "",
            "Parley runs. Each line of a part's log begins with its name; Ctrl-C ends all.",
            "",
            *(f"  {running.part.name:<10} pid {running.pid:<8} {_address(running)}" for running in parts),
            "",
            f"  URL: {plan.url}    (health: {plan.url}/health, documentation: {plan.url}/docs)",
            *_door(plan),
            *_administration(plan),
            "",
            "Try it:",
            "",
            f"  curl {plan.url}/v1/chat/completions -H 'Content-Type: application/json'{_bearer(plan)} \\",
            f"    -d '{_QUESTION}'",
            "",
        ]
    )


def _door(plan: Plan) -> list[str]:
    if plan.key:
        return []
    if plan.tokens:
        return ["  Keys are the tokens of model-config.json: TOKEN in the line below is one of them."]
    return ["  No API_MASTER_KEY is set: everybody who reaches this address may use it."]


def _administration(plan: Plan) -> list[str]:
    if not plan.admin:
        return []
    return [f"  Admin API: {plan.url}/admin/api/v1    (for ADMIN_KEY; documentation: {plan.url}/admin/api/v1/docs)"]


def _address(running: Running) -> str:
    return "{}:{}".format(*running.part.address) if running.part.address else "-"


def _bearer(plan: Plan) -> str:
    key = plan.key or ("$TOKEN" if plan.tokens else None)
    return f' -H "Authorization: Bearer {key}"' if key else ""

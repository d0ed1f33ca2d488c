"""Credentials as they are configured: added, replaced, changed, taken away. How they stand is in `credentials.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Response

from console.api.entries import created
from console.api.upstreams import ConfiguredCredential, Name, _said, credential
from console.bodies import CredentialFacts, CredentialItem, Patch, Written
from console.editing import Editing, existing
from parley.configuration.editing import edits
from parley.configuration.editing.overlay import View

router = APIRouter(tags=["credentials"])

Alias = Annotated[str, Path(min_length=1, max_length=100, description="The credential's name at its upstream.")]


class ChangedCredential(ConfiguredCredential):
    """A credential as it is configured now."""

    object: Literal["credential.entry"] = "credential.entry"
    upstream: str


_EXAMPLES: Any = {
    "an API key": {"value": {"value": "sk-your-own-key"}},
    "with a proxy and limits": {
        "value": {
            "value": "sk-your-own-key",
            "proxy": "socks5://127.0.0.1:1080",
            "limits": {"requests_per_minute": 60},
        }
    },
}


@router.put("/upstreams/{upstream}/credentials/{alias}", responses=created(ChangedCredential))
async def put_credential(
    upstream: Name,
    alias: Alias,
    item: Annotated[dict[str, Any], Written(CredentialItem), Body(openapi_examples=_EXAMPLES)],
    change: Editing,
    response: Response,
) -> ChangedCredential:
    """Add a credential, or replace one. A mask stands for the secret that it was shown for."""
    place = ("credentials", upstream, alias)
    new: list[bool] = []

    def edit(view: View) -> edits.Changes:
        existing(view, ("upstreams", upstream), "upstream")
        new[:] = [not view.has(place)]
        known = None if new[0] else view.entry(place)
        return edits.put_credential(view, upstream, alias, change.editor.masks.taken_off(place, _said(item), known))

    seen = await change("credential.put", f"{upstream}/{alias}", edit, place)
    if new[-1]:
        response.status_code = 201
    return _row(change, seen.view, upstream, alias)


@router.patch("/upstreams/{upstream}/credentials/{alias}")
async def patch_credential(
    upstream: Name, alias: Alias, patch: Annotated[dict[str, Any], Patch(CredentialFacts), Body()], change: Editing
) -> ChangedCredential:
    """Change some of a credential: disable it, enable it, limit it. The parts of its secret change all together."""
    place = ("credentials", upstream, alias)

    def edit(view: View) -> edits.Changes:
        existing(view, ("upstreams", upstream), "upstream")
        existing(view, place, "alias")
        return edits.patch_credential(
            view, upstream, alias, change.editor.masks.taken_off(place, patch, view.entry(place))
        )

    seen = await change("credential.patch", f"{upstream}/{alias}", edit, place)
    return _row(change, seen.view, upstream, alias)


@router.delete("/upstreams/{upstream}/credentials/{alias}", status_code=204, response_class=Response)
async def delete_credential(upstream: Name, alias: Alias, change: Editing) -> None:
    """Take a credential away; also one of environment or file, which then stays away."""
    place = ("credentials", upstream, alias)

    def edit(view: View) -> edits.Changes:
        existing(view, ("upstreams", upstream), "upstream")
        existing(view, place, "alias")
        return edits.removed(view, place)

    await change("credential.delete", f"{upstream}/{alias}", edit, place)


def _row(change: Editing, view: View, upstream: str, alias: str) -> ChangedCredential:
    return ChangedCredential(upstream=upstream, **credential(change.editor, view, upstream, alias).model_dump())

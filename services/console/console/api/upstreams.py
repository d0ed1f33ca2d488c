"""Upstreams as they are configured: `/upstreams`, `/upstreams/{name}`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import Field

from console.api.entries import Entry, created, origin, shown
from console.bodies import CredentialFacts, CredentialItem, Patch, Shown, Written
from console.editing import Editing, InForce, existing
from console.editor import Editor
from console.listing import Page, Paging, page
from console.parts import Here
from parley.configuration.editing import edits
from parley.configuration.editing.overlay import View
from parley.configuration.upstreams import UpstreamFacts, UpstreamName

router = APIRouter(tags=["upstreams"])

Name = Annotated[UpstreamName, Path(description="Letters a-z, digits, `.`, `_`, `-`.")]
Alias = Annotated[str, Field(min_length=1, max_length=100)]


class ConfiguredCredential(Entry):
    """A credential of it, as it is configured."""

    alias: str
    guest: Annotated[bool, Field(description="A place that a guest account fills.")]
    entry: Annotated[dict[str, Any], Shown(CredentialFacts)]


class Upstream(Entry):
    """An upstream as it is configured; `entry` is what a PUT takes."""

    object: Literal["upstream"] = "upstream"
    name: str
    entry: Annotated[dict[str, Any], Shown(UpstreamFacts)]
    credentials: list[ConfiguredCredential]


class UpstreamBody(UpstreamFacts):
    """An upstream, and its credentials by their aliases: then it has no others. Left out: those that it has stay."""

    credentials: Annotated[dict[Alias, CredentialItem] | None, Field(description="By alias.")] = None


_EXAMPLES: Any = {
    "a compatible service": {
        "value": {
            "provider": "openai",
            "base_url": "https://api.example.com/v1",
            "models": ["big-model"],
            "credentials": {"first": {"value": "sk-your-own-key"}},
        }
    }
}


@router.get("/upstreams")
async def list_upstreams(here: Here, seen: InForce, paging: Annotated[Paging, Query()]) -> Page[Upstream]:
    """All upstreams, by name."""
    rows = (row(here.editor, seen.view, name) for name in seen.view.document["upstreams"])
    return page(rows, paging, lambda one: (one.name,))


@router.get("/upstreams/{name}")
async def get_upstream(name: Name, here: Here, seen: InForce) -> Upstream:
    """One upstream and its credentials, as they are configured."""
    existing(seen.view, ("upstreams", name))
    return row(here.editor, seen.view, name)


@router.put("/upstreams/{name}", responses=created(Upstream))
async def put_upstream(
    name: Name,
    body: Annotated[dict[str, Any], Written(UpstreamBody), Body(openapi_examples=_EXAMPLES)],
    change: Editing,
    response: Response,
) -> Upstream:
    """Configure an upstream, whatever there was. A mask stands for the secret that it was shown for."""
    place, masks = ("upstreams", name), change.editor.masks
    facts = {member: said for member, said in body.items() if member != "credentials"}
    new: list[bool] = []

    def edit(view: View) -> edits.Changes:
        new[:] = [not view.has(place)]
        known = view.document["credentials"].get(name, {})
        items = body.get("credentials")
        if items is not None:
            items = {
                alias: masks.taken_off(("credentials", name, alias), _said(item), known.get(alias))
                for alias, item in items.items()
            }
        return edits.put_upstream(view, name, masks.taken_off(place, facts, _known(view, name)), items)

    seen = await change("upstream.put", name, edit, place)
    if new[-1]:
        response.status_code = 201
    return row(change.editor, seen.view, name)


@router.patch("/upstreams/{name}")
async def patch_upstream(
    name: Name, patch: Annotated[dict[str, Any], Patch(UpstreamFacts), Body()], change: Editing
) -> Upstream:
    """Change some of an upstream, wherever it comes from."""
    place = ("upstreams", name)

    def edit(view: View) -> edits.Changes:
        existing(view, place)
        return edits.patched(view, place, change.editor.masks.taken_off(place, patch, view.entry(place)))

    seen = await change("upstream.patch", name, edit, place)
    return row(change.editor, seen.view, name)


@router.delete("/upstreams/{name}", status_code=204, response_class=Response)
async def delete_upstream(name: Name, change: Editing) -> None:
    """Take an upstream away, with its credentials; also one of environment or file. Routes must not need it."""
    place = ("upstreams", name)

    def edit(view: View) -> edits.Changes:
        existing(view, place)
        return edits.removed(view, place)

    await change("upstream.delete", name, edit, place)


def row(editor: Editor, view: View, name: str) -> Upstream:
    """An upstream as it is shown."""
    place = ("upstreams", name)
    credentials = [credential(editor, view, name, alias) for alias in view.document["credentials"][name]]
    return Upstream(name=name, entry=shown(editor, view, place), credentials=credentials, **origin(view, place))


def credential(editor: Editor, view: View, upstream: str, alias: str) -> ConfiguredCredential:
    """A credential as it is shown."""
    place = ("credentials", upstream, alias)
    entry = dict(shown(editor, view, place))
    guest = bool(entry.pop("guest", False))
    return ConfiguredCredential(alias=alias, guest=guest, entry=entry, **origin(view, place))


def configured(editor: Editor, view: View, upstream: str, alias: str) -> ConfiguredCredential | None:
    """A credential as it is configured, if it is."""
    return credential(editor, view, upstream, alias) if view.has(("credentials", upstream, alias)) else None


def _known(view: View, name: str) -> Any:
    return view.document["upstreams"].get(name)


def _said(item: dict[str, Any]) -> dict[str, Any]:
    """Without what is null, which is as if it were not there."""
    return {member: said for member, said in item.items() if said is not None}

"""Routes: `/routes`, `/routes/{model}`. What each member means: docs/routes.md."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query, Response

from console.api.entries import Entry, created, origin, shown
from console.bodies import Patch, Shown, Written
from console.editing import Editing, InForce, existing
from console.editor import Editor
from console.listing import Page, Paging, page
from console.parts import Here
from parley.configuration.editing import edits
from parley.configuration.editing.overlay import View
from parley.configuration.routes import RouteFacts

router = APIRouter(tags=["routes"])

Model = Annotated[
    str, Path(min_length=1, max_length=200, description="A model name, or a pattern such as `gpt-4*`; it may have `/`.")
]
_EXAMPLES: Any = {
    "two upstreams by weight": {
        "value": {
            "strategy": "weighted",
            "targets": ["east/big-model", {"target": "west/big-model", "weight": 3}],
            "fallback": ["small"],
        }
    }
}


class Route(Entry):
    """A route; `entry` is what a PUT takes."""

    object: Literal["route"] = "route"
    model: str
    entry: Annotated[dict[str, Any], Shown(RouteFacts)]


@router.get("/routes")
async def list_routes(here: Here, seen: InForce, paging: Annotated[Paging, Query()]) -> Page[Route]:
    """All routes, by model name."""
    rows = (_row(here.editor, seen.view, model) for model in seen.view.document["routes"])
    return page(rows, paging, lambda one: (one.model,))


@router.get("/routes/{model:path}")
async def get_route(model: Model, here: Here, seen: InForce) -> Route:
    """One route, by its name or pattern."""
    existing(seen.view, ("routes", model), "model")
    return _row(here.editor, seen.view, model)


@router.put("/routes/{model:path}", responses=created(Route))
async def put_route(
    model: Model,
    body: Annotated[dict[str, Any], Written(RouteFacts), Body(openapi_examples=_EXAMPLES)],
    change: Editing,
    response: Response,
) -> Route:
    """Lead a model name somewhere, wherever it led."""
    place = ("routes", model)
    new: list[bool] = []

    def edit(view: View) -> edits.Changes:
        new[:] = [not view.has(place)]
        known = None if new[0] else view.entry(place)
        return edits.put(view, place, change.editor.masks.taken_off(place, body, known))

    seen = await change("route.put", model, edit, place)
    if new[-1]:
        response.status_code = 201
    return _row(change.editor, seen.view, model)


@router.patch("/routes/{model:path}")
async def patch_route(
    model: Model, patch: Annotated[dict[str, Any], Patch(RouteFacts), Body()], change: Editing
) -> Route:
    """Change some of a route."""
    place = ("routes", model)

    def edit(view: View) -> edits.Changes:
        existing(view, place, "model")
        return edits.patched(view, place, change.editor.masks.taken_off(place, patch, view.entry(place)))

    seen = await change("route.patch", model, edit, place)
    return _row(change.editor, seen.view, model)


@router.delete("/routes/{model:path}", status_code=204, response_class=Response)
async def delete_route(model: Model, change: Editing) -> None:
    """Take a route away; also one of the file."""
    place = ("routes", model)

    def edit(view: View) -> edits.Changes:
        existing(view, place, "model")
        return edits.removed(view, place)

    await change("route.delete", model, edit, place)


def _row(editor: Editor, view: View, model: str) -> Route:
    place = ("routes", model)
    return Route(model=model, entry=shown(editor, view, place), **origin(view, place))

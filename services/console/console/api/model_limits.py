"""Limits of models as they are configured: `/limits/models`. How full they are: `limits.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import Field

from console.api.entries import Entry, created, origin
from console.bodies import Patch, Shown, Written
from console.editing import Editing, InForce, existing
from console.listing import Page, Paging, page
from parley.configuration.editing import edits
from parley.configuration.editing.overlay import View
from parley.configuration.limits import LimitsEntry

router = APIRouter(tags=["limits"])

Pattern = Annotated[
    str, Path(min_length=1, max_length=200, description="A model name, or a pattern such as `east/*`; it may have `/`.")
]
_EXAMPLES: Any = {"tokens and places": {"value": {"tokens_per_minute": 100_000, "concurrency": 10}}}


class ModelLimit(Entry):
    """A limit that all models share which fit a pattern; the first one that fits a model counts."""

    object: Literal["model_limit"] = "model_limit"
    model: str
    position: Annotated[int, Field(description="Its place among them, from 0.")]
    entry: Annotated[dict[str, Any], Shown(LimitsEntry)]


@router.get("/limits/models")
async def list_model_limits(seen: InForce, paging: Annotated[Paging, Query()]) -> Page[ModelLimit]:
    """All limits of models, in the order in which they count."""
    rows = [_row(seen.view, model) for model in seen.view.document["limits"]]
    return page(rows, paging, lambda one: (one.position,))


@router.get("/limits/models/{model:path}")
async def get_model_limit(model: Pattern, seen: InForce) -> ModelLimit:
    """One limit, by its pattern."""
    existing(seen.view, ("limits", model), "model")
    return _row(seen.view, model)


@router.put("/limits/models/{model:path}", responses=created(ModelLimit))
async def put_model_limit(
    model: Pattern,
    body: Annotated[dict[str, Any], Written(LimitsEntry), Body(openapi_examples=_EXAMPLES)],
    change: Editing,
    response: Response,
) -> ModelLimit:
    """Limit models, whatever limit there was. A new one comes last."""
    place = ("limits", model)
    new: list[bool] = []

    def edit(view: View) -> edits.Changes:
        new[:] = [not view.has(place)]
        return edits.put(view, place, body)

    seen = await change("model_limit.put", model, edit, place)
    if new[-1]:
        response.status_code = 201
    return _row(seen.view, model)


@router.patch("/limits/models/{model:path}")
async def patch_model_limit(
    model: Pattern, patch: Annotated[dict[str, Any], Patch(LimitsEntry), Body()], change: Editing
) -> ModelLimit:
    """Change some of a limit."""
    place = ("limits", model)

    def edit(view: View) -> edits.Changes:
        existing(view, place, "model")
        return edits.patched(view, place, patch)

    seen = await change("model_limit.patch", model, edit, place)
    return _row(seen.view, model)


@router.delete("/limits/models/{model:path}", status_code=204, response_class=Response)
async def delete_model_limit(model: Pattern, change: Editing) -> None:
    """Take a limit away; also one of the file."""
    place = ("limits", model)

    def edit(view: View) -> edits.Changes:
        existing(view, place, "model")
        return edits.removed(view, place)

    await change("model_limit.delete", model, edit, place)


def _row(view: View, model: str) -> ModelLimit:
    place = ("limits", model)
    position = list(view.document["limits"]).index(model)
    return ModelLimit(model=model, position=position, entry=view.entry(place), **origin(view, place))

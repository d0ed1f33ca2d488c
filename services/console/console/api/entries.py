"""What every entry of the configuration says of itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from console.editor import Editor
from parley.configuration.editing.overlay import View
from parley.configuration.editing.places import Place
from parley.configuration.editing.sources import Source


class Entry(BaseModel):
    """Where an entry comes from."""

    source: Annotated[Source, Field(description="Who says it: changes are what was made through this API.")]
    overrides: Annotated[
        Source | None, Field(description="Whose entry the changes stand over; it counts again when they are gone.")
    ]


def origin(view: View, place: Place) -> dict[str, Any]:
    """The members of `Entry` for what is at a place."""
    return {"source": view.source(place), "overrides": view.overrides(place)}


def shown(editor: Editor, view: View, place: Place) -> Any:
    """What is at a place, with masks for secrets. Raises KeyError."""
    return editor.masks.entry(place, view.entry(place))


def created(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """What a PUT answers where there was nothing: the same, with 201."""
    return {201: {"model": model, "description": "There was none before."}}

"""What is no entry of its own: `/settings`."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from console.api.entries import Entry, origin
from console.bodies import Written
from console.editing import Editing, InForce
from parley.configuration.editing import edits
from parley.configuration.editing.overlay import View
from parley.configuration.entries import STRICT

router = APIRouter(tags=["settings"])

_PLACE: Final = ("default_model",)


class SettingsPatch(BaseModel):
    """What is not mentioned stays."""

    model_config = ConfigDict(**STRICT)

    default_model: Annotated[
        str | None,
        Field(min_length=1, max_length=200, description="Serves model names that nobody knows; null: nobody does."),
    ] = None


class DefaultModel(Entry):
    """The default model, and who says it."""

    value: str | None


class Settings(BaseModel):
    """The settings in force."""

    object: Literal["settings"] = "settings"
    default_model: DefaultModel


@router.get("/settings")
async def get_settings(seen: InForce) -> Settings:
    """The settings in force."""
    return _row(seen.view)


@router.patch("/settings")
async def patch_settings(
    patch: Annotated[
        dict[str, Any],
        Written(SettingsPatch),
        Body(openapi_examples={"a default": {"value": {"default_model": "smart"}}}),
    ],
    change: Editing,
) -> Settings:
    """Change some of the settings."""

    def edit(view: View) -> edits.Changes:
        return edits.put(view, _PLACE, patch["default_model"]) if "default_model" in patch else dict(view.changes)

    return _row((await change("settings.patch", "default_model", edit, _PLACE)).view)


def _row(view: View) -> Settings:
    if not view.has(_PLACE) and "default_model" not in view.changes:
        return Settings(default_model=DefaultModel(value=None, source="built-in", overrides=None))
    value = view.document.get("default_model")
    return Settings(default_model=DefaultModel(value=value, **origin(view, _PLACE)))

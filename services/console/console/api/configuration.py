"""The configuration as a whole: `/config`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from console.api.entries import Entry, origin
from console.api.revisions import Compared, compared
from console.editing import Editing, InForce
from console.editor import Editor, refused
from console.parts import Here
from console.refusals import NotFound
from parley.clock import now
from parley.configuration.editing import edits
from parley.configuration.editing.archive import Archive, Shaped, archived, changes_of
from parley.configuration.editing.overlay import View
from parley.configuration.editing.places import Place, entries, says, written
from parley.configuration.editing.sources import Source
from parley.configuration.entries import STRICT
from parley.configuration.schema import schema
from parley.settings import ConfigurationError

router = APIRouter(tags=["configuration"])

Passphrase = Annotated[
    str,
    Field(min_length=12, max_length=1000, json_schema_extra={"format": "password"}, description="Its secrets' key."),
]

_WITH_PASSPHRASE: Final[Any] = {
    "if": {"properties": {"secrets": {"const": "passphrase"}}, "required": ["secrets"]},
    "then": {"properties": {"passphrase": {"type": "string"}}, "required": ["passphrase"]},
    "else": {"properties": {"passphrase": {"type": "null"}}},
}


class Said(Entry):
    """An entry, and who says it."""

    entry: Annotated[Any, Field(description="With a mask in the place of each secret.")]


class TakenAway(BaseModel):
    """What environment or file have, and the changes take away."""

    place: Annotated[list[str], Field(description="Such as upstreams, east.")]
    source: Source


class Configuration(BaseModel):
    """Everything that is configured."""

    object: Literal["config"] = "config"
    revision: int
    problem: Annotated[str | None, Field(description="Why this revision is not in force in this console.")]
    advice: Annotated[list[str], Field(description="What its operator should know.")]
    upstreams: dict[str, Said]
    credentials: Annotated[dict[str, dict[str, Said]], Field(description="By upstream and alias.")]
    routes: dict[str, Said]
    keys: dict[str, Said]
    limits: Annotated[dict[str, Said], Field(description="Of models, in the order in which they count.")]
    prices: Said | None
    default_model: Said | None
    taken_away: list[TakenAway]


class Validation(BaseModel):
    """Changes to be tried."""

    model_config = ConfigDict(**STRICT, strict=True)

    changes: Annotated[
        Shaped,
        Field(
            description="As in an archive: upstreams, credentials, routes, keys, limits, prices, default_model. "
            "A null takes away what environment or file have; a mask stands for the secret that is there."
        ),
    ]
    merge: Annotated[bool, Field(description="Laid over the present changes, not in their place.")] = False


class Export(BaseModel):
    """What to export, and what becomes of the secrets."""

    model_config = ConfigDict(**STRICT, strict=True, json_schema_extra=_WITH_PASSPHRASE)

    what: Annotated[
        Literal["changes", "everything"],
        Field(description="everything: environment and files, too, as if they were changes."),
    ] = "changes"
    secrets: Annotated[
        Literal["left-out", "passphrase", "parley-secret"],
        Field(
            description="How secrets are kept; parley-secret: sealed, for an installation with the same PARLEY_SECRET."
        ),
    ] = "left-out"
    passphrase: Passphrase | None = None

    @model_validator(mode="after")
    def _together(self) -> Export:
        if (self.secrets == "passphrase") != (self.passphrase is not None):
            raise ValueError("a passphrase goes with secrets: passphrase, and with nothing else")
        return self


class Import(BaseModel):
    """An archive, and what to do with it."""

    model_config = ConfigDict(**STRICT, strict=True)

    archive: Archive
    passphrase: Passphrase | None = None
    merge: Annotated[
        bool, Field(description="Lay it over the present changes, entry by entry; else: in their place.")
    ] = False
    dry_run: Annotated[bool, Field(description="Only tell what it would change, or why it is refused.")] = False


class FileSchema(RootModel[dict[str, Any]]):
    """A JSON schema."""


class Restoration(BaseModel):
    """Where environment and files are to count again."""

    model_config = ConfigDict(**STRICT, strict=True)

    place: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]],
        Field(min_length=1, max_length=3, examples=[["credentials", "openai", "openai-1"]]),
    ]


@router.get("/config")
async def get_configuration(here: Here, seen: InForce) -> Configuration:
    """Everything that is configured, each entry with who says it."""
    view, editor = seen.view, here.editor
    said = {
        place: Said(entry=editor.masks.entry(place, entry), **origin(view, place))
        for place, entry in entries(view.document)
    }

    def of(kind: str) -> dict[str, Said]:
        return {place[-1]: row for place, row in said.items() if place[:-1] == (kind,)}

    return Configuration(
        revision=seen.revision,
        problem=editor.problem or None,
        advice=list(await editor.advice(view)),
        upstreams=of("upstreams"),
        credentials={
            name: {place[-1]: row for place, row in said.items() if place[:-1] == ("credentials", name)}
            for name in view.document["credentials"]
        },
        routes=of("routes"),
        keys=of("keys"),
        limits=of("limits"),
        prices=said.get(("prices",)),
        default_model=said.get(("default_model",)),
        taken_away=[TakenAway(place=list(place), source=source) for place, source in view.taken_away()],
    )


@router.get("/config/schema")
async def get_schema() -> FileSchema:
    """The JSON schema of `parley.yaml`, for editors."""
    return FileSchema(schema())


@router.post("/config/validate")
async def validate_configuration(
    asked: Annotated[Validation, Body(openapi_examples={"nothing changed": {"value": {"changes": {}, "merge": True}}})],
    here: Here,
    seen: InForce,
) -> Compared:
    """Try changes: what they would change, or what is wrong with them. Nothing is changed."""
    return await _tried(here.editor, seen.view, asked.changes, merge=asked.merge, revision=seen.revision)


@router.post("/config/export")
async def export_configuration(
    asked: Annotated[Export, Body(openapi_examples={"without secrets": {"value": {"secrets": "left-out"}}})],
    here: Here,
    seen: InForce,
) -> Archive:
    """An archive of what is configured."""
    editor = here.editor
    changes = dict(seen.view.changes) if asked.what == "changes" else edits.everything(seen.view)
    return await asyncio.to_thread(
        archived,
        changes,
        editor.masks,
        revision=seen.revision,
        exported=now(),
        seal=editor.seal if asked.secrets == "parley-secret" else None,
        passphrase=asked.passphrase,
    )


@router.post("/config/import")
async def import_configuration(asked: Import, here: Here, change: Editing) -> Compared:
    """Put an archive in force, as a whole or not at all."""
    editor = here.editor
    try:
        changes = await asyncio.to_thread(changes_of, asked.archive, seal=editor.seal, passphrase=asked.passphrase)
    except ConfigurationError as problem:
        raise refused(problem) from None
    if asked.dry_run:
        seen = await editor.seen()
        return await _tried(editor, seen.view, changes, merge=asked.merge, revision=seen.revision)
    before: list[View] = []

    def edit(view: View) -> edits.Changes:
        before[:] = [view]
        return _imported(editor, view, changes, merge=asked.merge)

    seen = await change("config.import", "", edit, merge=asked.merge, of=asked.archive.revision)
    return compared(editor, before[0], seen.view, revision=seen.revision)


@router.post("/config/restore", responses={404: {}})
async def restore_entry(asked: Restoration, here: Here, change: Editing) -> Compared:
    """Take back what the changes say at one place, so that environment and files count there again."""
    place: Place = tuple(asked.place)
    before: list[View] = []

    def edit(view: View) -> edits.Changes:
        before[:] = [view]
        if not says(view.changes, place):
            raise NotFound(f"There is no change of {written(place)}.", param="place")
        return edits.restored(view, place)

    seen = await change("config.restore", written(place), edit, place)
    return compared(here.editor, before[0], seen.view, revision=seen.revision)


def _imported(editor: Editor, view: View, changes: dict[str, Any], *, merge: bool) -> edits.Changes:
    """Raises ConfigurationError."""
    return edits.imported(view, editor.masks.taken_off_all(changes, view.document), merge=merge)


async def _tried(editor: Editor, view: View, changes: dict[str, Any], *, merge: bool, revision: int) -> Compared:
    made = await editor.tried(view, lambda seen: _imported(editor, seen, changes, merge=merge), ())
    return compared(editor, view, View(view.sources, made), revision=revision)

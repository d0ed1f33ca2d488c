"""API keys of callers: `/keys`. The key itself is told once, when it is made, and known to nobody afterwards."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from console.api.entries import Entry, origin, shown
from console.bodies import Patch, Shown, Written
from console.editing import Editing, InForce, existing
from console.editor import Editor
from console.listing import Page, Paging, page
from console.parts import Here
from console.refusals import NotNow
from parley.clock import now
from parley.configuration.editing import edits
from parley.configuration.editing.issuing import KEPT, NameTaken, changed_key, issued, rotated
from parley.configuration.editing.overlay import View
from parley.configuration.entries import STRICT
from parley.configuration.keys import KeyFacts
from parley.configuration.keys import Name as KeyName
from parley.sealed import Secret

router = APIRouter(tags=["keys"])

Name = Annotated[KeyName, Path(description="The key's name.")]


class Key(Entry):
    """A key; `entry` is what an operator decides about it."""

    object: Literal["key"] = "key"
    name: Annotated[str, Field(description="Unique and never changed: usage and limits go by it.")]
    prefix: Annotated[
        str, Field(description="What everybody may see of the key; empty for one that was not made here.")
    ]
    bound: Annotated[bool, Field(description="A token of the model-config file, which says where it leads.")]
    created: Annotated[float | None, Field(description="When it was made here.")]
    rotated: Annotated[float | None, Field(description="When it was replaced last.")]
    previous_until: Annotated[float | None, Field(description="Until when the key before it is valid, too.")]
    entry: Annotated[dict[str, Any], Shown(KeyFacts)]


class IssuedKey(Key):
    """A key that was just made. `key` is told this once."""

    key: Annotated[str, Field(description="The key itself: keep it, nobody can look it up.")]


class NewKey(KeyFacts):
    """A key to be made."""

    name: Annotated[KeyName, Field(description="Unique, and never changed.")]


class Rotation(BaseModel):
    """How a key is replaced."""

    model_config = ConfigDict(**STRICT, strict=True)

    grace: Annotated[
        float, Field(ge=0, le=90 * 86_400, description="Seconds for which the old key is valid, too; 0: it ends now.")
    ] = 0


class KeysQuery(Paging):
    """Which of them."""

    owner: Annotated[str | None, Field(max_length=200, description="Only those of this owner.")] = None


_EXAMPLES: Any = {
    "with limits": {
        "value": {
            "name": "alice",
            "owner": "Alice",
            "models": ["gpt-5*", "smart"],
            "limits": {"requests_per_minute": 60, "budgets": [{"unit": "money", "amount": 20, "period": "month"}]},
        }
    }
}


@router.get("/keys")
async def list_keys(seen: InForce, query: Annotated[KeysQuery, Query()], here: Here) -> Page[Key]:
    """All keys, by name."""
    rows = (Key(**_row(here.editor, seen.view, name)) for name in seen.view.document["keys"])
    return page(
        (one for one in rows if query.owner in (None, one.entry.get("owner", ""))), query, lambda one: (one.name,)
    )


@router.post("/keys", status_code=201)
async def create_key(
    body: Annotated[dict[str, Any], Written(NewKey), Body(openapi_examples=_EXAMPLES)], change: Editing
) -> IssuedKey:
    """Make a key. It is told in this answer, and never again."""
    facts = dict(body)
    name = facts.pop("name")
    made: list[Secret] = []

    def edit(view: View) -> edits.Changes:
        try:
            said = change.editor.masks.taken_off(("keys", name), facts, None)
            new = issued(view, name, said, now=now())
        except NameTaken:
            raise NotNow(f"There is a key '{name}' already.", param="name") from None
        made[:] = [new.key]
        return new.changes

    seen = await change("key.create", name, edit, ("keys", name))
    return IssuedKey(key=made[-1].reveal(), **_row(change.editor, seen.view, name))


@router.get("/keys/{name}")
async def get_key(name: Name, seen: InForce, here: Here) -> Key:
    """One key, without the key itself."""
    existing(seen.view, ("keys", name))
    return Key(**_row(here.editor, seen.view, name))


@router.patch("/keys/{name}")
async def patch_key(name: Name, patch: Annotated[dict[str, Any], Patch(KeyFacts), Body()], change: Editing) -> Key:
    """Change what is decided about a key: its limits, its models, whether it is disabled."""
    place = ("keys", name)

    def edit(view: View) -> edits.Changes:
        existing(view, place)
        said = change.editor.masks.taken_off(place, patch, view.entry(place))
        return changed_key(view, name, said, now=now())

    seen = await change("key.patch", name, edit, place)
    return Key(**_row(change.editor, seen.view, name))


@router.post("/keys/{name}/rotate")
async def rotate_key(name: Name, how: Rotation, change: Editing) -> IssuedKey:
    """Replace a key by another one of the same name, limits and usage. The one before the old one ends at once."""
    place = ("keys", name)
    made: list[Secret] = []

    def edit(view: View) -> edits.Changes:
        existing(view, place)
        new = rotated(view, name, grace=how.grace, now=now())
        made[:] = [new.key]
        return new.changes

    seen = await change("key.rotate", name, edit, place, grace=how.grace)
    return IssuedKey(key=made[-1].reveal(), **_row(change.editor, seen.view, name))


@router.delete("/keys/{name}", status_code=204, response_class=Response)
async def delete_key(name: Name, change: Editing) -> None:
    """Revoke a key for good; also one of a file. What it used stays in the usage."""
    place = ("keys", name)

    def edit(view: View) -> edits.Changes:
        existing(view, place)
        return edits.removed(view, place)

    await change("key.delete", name, edit, place)


def _row(editor: Editor, view: View, name: str) -> dict[str, Any]:
    place = ("keys", name)
    kept = shown(editor, view, place)
    previous = kept.get("previous") or {}
    return {
        "name": name,
        "prefix": kept.get("prefix", ""),
        "bound": kept.get("bound", False),
        "created": kept.get("created"),
        "rotated": kept.get("rotated"),
        "previous_until": previous.get("until"),
        "entry": {member: said for member, said in kept.items() if member not in KEPT},
        **origin(view, place),
    }

"""Revisions: what was changed when, what a revision did, and how to go back: `/revisions`."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from console.editing import Editing
from console.editor import Editor
from console.listing import Page, Paging, page
from console.parts import Here
from console.refusals import NotFound
from parley.clock import now
from parley.configuration.editing import edits
from parley.configuration.editing.differences import differences
from parley.configuration.editing.overlay import View
from parley.configuration.editing.rollback import Refusal, WentBack, went_back
from parley.configuration.entries import STRICT
from parley.state.revisions import Forgotten
from parley.state.revisions import Revision as Logged

router = APIRouter(tags=["revisions"])

Number = Annotated[int, Path(ge=0, le=10**15, description="0: environment and files, without any change.")]


class Revision(BaseModel):
    """One revision of the changes."""

    object: Literal["revision"] = "revision"
    number: int
    at: Annotated[float | None, Field(description="When it was made; null for revision 0.")]
    who: Annotated[str, Field(description="Who made it, and from which address.")]
    what: Annotated[str, Field(description="KIND.VERB and the name of what was changed.")]


class WholeRevision(Revision):
    """A revision with all of its changes."""

    changes: Annotated[dict[str, Any], Field(description="With a mask in the place of each secret.")]


class Difference(BaseModel):
    """An entry that is not the same."""

    place: Annotated[list[str], Field(description="Such as credentials, openai, openai-1.")]
    change: Literal["added", "changed", "removed"]
    members: Annotated[list[str], Field(description="Which members of it differ.")]
    before: Annotated[Any, Field(description="Masked; a mask is another one when the secret is.")]
    after: Any


class Compared(BaseModel):
    """What differs, over today's environment and files."""

    object: Literal["differences"] = "differences"
    revision: Annotated[int, Field(description="The revision in force, or the one that is compared.")]
    differences: list[Difference]


class Rollback(BaseModel):
    """How to go back."""

    model_config = ConfigDict(**STRICT, strict=True)

    revoked_keys: Annotated[
        Literal["stay", "come-back"],
        Field(
            description="Keys of that revision that were deleted, rotated, disabled or expired since: they stay so, "
            "since somebody else may know them; come-back: they are good again."
        ),
    ] = "stay"


_USUALLY: Final = Rollback()


class KeptKey(BaseModel):
    """A key that was good in that revision, and is refused all the same."""

    key: str
    because: Refusal


class RolledBack(Compared):
    """What differs now, and what did not come back."""

    kept: Annotated[list[KeptKey], Field(description="Keys that stay refused, because they were revoked since.")]


class Against(BaseModel):
    """What to compare with."""

    model_config = ConfigDict(extra="forbid")

    with_: Annotated[
        int | None, Field(alias="with", ge=0, le=10**15, description="Left out: the revision before it.")
    ] = None


@router.get("/revisions")
async def list_revisions(here: Here, paging: Annotated[Paging, Query()]) -> Page[Revision]:
    """The newest revisions, the newest first; two hundred are kept."""
    rows = [_row(revision) for revision in await here.editor.log()]
    return page(rows, paging, lambda one: (-one.number,))


@router.get("/revisions/{number}")
async def get_revision(number: Number, here: Here) -> WholeRevision:
    """One revision, and all of its changes."""
    view = await _past(here.editor, number)
    log = {revision.number: revision for revision in await here.editor.log()}
    known = _row(log[number]) if number in log else Revision(number=number, at=None, who="", what="")
    return WholeRevision(**known.model_dump(), changes=here.editor.masks.document(view.changes))


@router.get("/revisions/{number}/diff")
async def diff_revision(number: Number, against: Annotated[Against, Query()], here: Here) -> Compared:
    """What differs in a revision from another one: what was added, changed, removed since."""
    before = max(0, number - 1) if against.with_ is None else against.with_
    return compared(
        here.editor,
        await _past(here.editor, before, "with"),
        await _past(here.editor, number),
        revision=number,
    )


@router.post("/revisions/{number}/rollback")
async def roll_back(
    number: Number, here: Here, change: Editing, how: Annotated[Rollback, Body()] = _USUALLY
) -> RolledBack:
    """Make the changes of an earlier revision the newest one. Credentials that it had come back; of its keys those
    that were not revoked since."""
    past = await _past(here.editor, number)
    before: list[View] = []
    kept: list[KeptKey] = []

    def edit(view: View) -> edits.Changes:
        before[:] = [view]
        stay = how.revoked_keys == "stay"
        back = went_back(view, past.changes, now=now()) if stay else WentBack(dict(past.changes), ())
        kept[:] = [KeptKey(key=one.key, because=one.because) for one in back.kept]
        return back.changes

    seen = await change("config.rollback", str(number), edit, revoked_keys=how.revoked_keys)
    found = compared(here.editor, before[0], seen.view, revision=seen.revision)
    return RolledBack(revision=found.revision, differences=found.differences, kept=kept)


def compared(editor: Editor, before: View, after: View, *, revision: int) -> Compared:
    """What differs, without secrets."""
    found = differences(editor.masks.document(before.document), editor.masks.document(after.document))
    return Compared(
        revision=revision,
        differences=[
            Difference(
                place=list(one.place), change=one.change, members=one.members, before=one.before, after=one.after
            )
            for one in found
        ],
    )


async def _past(editor: Editor, number: int, param: str = "number") -> View:
    try:
        return (await editor.past(number)).view
    except Forgotten as gone:
        raise NotFound(str(gone), param=param) from None


def _row(revision: Logged) -> Revision:
    return Revision(number=revision.number, at=revision.at, who=revision.who, what=revision.what)

"""What endpoints of the configuration are handed: it as it is (`InForce`), and the way to change it (`Editing`).

Every answer carries the revision that it tells, as `ETag: "r17"` and `x-parley-revision: 17`. A change says upon which
revision it was made (`If-Match: "r17"`; `*`: upon any), so that nobody overwrites what he has not seen.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response

from console.audited import Audited
from console.editor import Edit, Editor, Seen, etag
from console.entrance import ADMIN
from console.parts import Here
from console.refusals import ConditionMissing, NotFound
from parley.configuration.editing.differences import differences
from parley.configuration.editing.overlay import View
from parley.configuration.editing.places import Place, written
from parley.errors import BadRequest

_TAGS: Final = re.compile(r'\s*(?:W/)?"(?P<tag>[^"]*)"\s*(?:,|$)')
_REVISION: Final = re.compile(r"r(\d{1,15})")

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description='The `ETag` of what you saw, such as `"r17"`; `*`: whatever is there.',
        openapi_examples={"any": {"summary": "Whatever is there", "value": "*"}},
    ),
]


def wanted(if_match: str | None) -> frozenset[int] | None:
    """The revisions that a condition allows; None: any. Raises ConditionMissing, BadRequest."""
    if if_match is None:
        raise ConditionMissing("A change needs If-Match: the ETag of what you saw, or * for whatever is there.")
    if if_match.strip() == "*":
        return None
    if not re.fullmatch(rf"(?:{_TAGS.pattern.replace('?P<tag>', '')})+", if_match):
        raise BadRequest('If-Match must be * or entity tags such as "r17".', param="If-Match")
    tags = (found["tag"] for found in _TAGS.finditer(if_match))
    return frozenset(int(found[1]) for tag in tags if (found := _REVISION.fullmatch(tag)))


def tagged(response: Response, revision: int) -> None:
    """Say in the head of an answer which revision it tells."""
    response.headers["etag"] = etag(revision)
    response.headers["x-parley-revision"] = str(revision)


async def _seen(here: Here, response: Response) -> Seen:
    seen = await here.editor.seen()
    tagged(response, seen.revision)
    return seen


InForce = Annotated[Seen, Depends(_seen)]
"""As the type of an endpoint's parameter: the configuration as it is."""


class Changing:
    """Makes the change of one request."""

    def __init__(
        self, request: Request, response: Response, here: Here, audited: Audited, if_match: IfMatch = None
    ) -> None:
        self.editor: Editor = here.editor
        self._audited = audited
        self._response = response
        self._wanted = wanted(if_match)
        client = request.scope["state"]["client"]
        self._who = f"{ADMIN} ({client})" if client else ADMIN

    async def __call__(self, what: str, on: str, edit: Edit, place: Place = (), **details: Any) -> Seen:
        """Put an edit in force; `what` (KIND.VERB) was done to `on`. Raises as `Editor.change`."""
        before: list[View] = []

        def noted(view: View) -> dict[str, Any]:
            before[:] = [view]
            return edit(view)

        seen = await self.editor.change(noted, self._wanted, place, who=self._who, what=f"{what} {on}".strip())
        tagged(self._response, seen.revision)
        if seen.view.changes != before[0].changes:
            told = {**details, "changed": self._changed(before[0], seen.view)}
            await self._audited(what, on, revision=seen.revision, **told)
        return seen

    def _changed(self, before: View, after: View) -> list[str]:
        """The places that differ, with their members where a few do: names, and no values."""
        masks = self.editor.masks
        found: list[str] = []
        for one in differences(masks.document(before.document), masks.document(after.document)):
            found += [f"{written(one.place)}.{member}" for member in one.members] or [written(one.place)]
        return found[:100]


Editing = Annotated[Changing, Depends(Changing)]
"""As the type of an endpoint's parameter: called with the change. Without If-Match nothing is looked at."""


def existing(view: View, place: Place, param: str = "name") -> None:
    """Raise NotFound unless there is something at a place."""
    if not view.has(place):
        raise NotFound(f"There is no {written(place)}.", param=param)

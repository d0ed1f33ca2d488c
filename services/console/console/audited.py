"""What an operator changed goes into the audit, with who asked for it and by which request."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from console.entrance import ADMIN
from console.parts import Parts
from parley.state.audit import Entry


class Auditor:
    """Writes entries of one request."""

    def __init__(self, request: Request) -> None:
        state = request.scope["state"]
        parts: Parts = state["parts"]
        self._audit = parts.state.audit
        self._client: str = state["client"]
        self._request: str = state["request_id"]

    async def __call__(self, what: str, on: str, **details: Any) -> None:
        """`what` was done to `on`; no secret may be in the details. Raises StateUnavailable."""
        await self._audit.write(Entry(ADMIN, self._client, what, on, self._request, details))


Audited = Annotated[Auditor, Depends(Auditor)]
"""As the type of an endpoint's parameter: called after the change was made."""

"""The price table: `/prices`. It is one entry: its order matters, and it is replaced as a whole."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Response

from console.api.entries import Entry, origin
from console.bodies import Shown, Written
from console.editing import Editing, InForce
from parley.configuration.editing import edits
from parley.configuration.editing.overlay import View
from parley.configuration.prices import PricesEntry

router = APIRouter(tags=["prices"])

_PLACE: Final = ("prices",)
_EXAMPLES: Any = {
    "one model": {
        "value": {"currency": "USD", "models": [{"model": "big-*", "prompt": 1.25, "completion": 10, "cached": 0.125}]}
    }
}


class Prices(Entry):
    """The table in force; the first line that fits a model counts."""

    object: Literal["prices"] = "prices"
    entry: Annotated[dict[str, Any], Shown(PricesEntry)]


@router.get("/prices")
async def get_prices(seen: InForce) -> Prices:
    """What tokens cost."""
    return _row(seen.view)


@router.put("/prices")
async def put_prices(
    body: Annotated[dict[str, Any], Written(PricesEntry), Body(openapi_examples=_EXAMPLES)], change: Editing
) -> Prices:
    """Another table, in the place of the file's."""
    seen = await change("prices.put", "", lambda view: edits.put(view, _PLACE, body), _PLACE)
    return _row(seen.view)


@router.delete("/prices", status_code=204, response_class=Response)
async def delete_prices(change: Editing) -> None:
    """The file's table again."""
    await change("prices.delete", "", lambda view: edits.restored(view, _PLACE), _PLACE)


def _row(view: View) -> Prices:
    if not view.has(_PLACE):
        return Prices(entry={}, source="built-in", overrides=None)
    return Prices(entry=view.entry(_PLACE), **origin(view, _PLACE))

"""Test now: a credential is tried with a request that nobody is billed for, where its provider knows one."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from console.found import credential_named, upstream_named
from console.parts import Here
from console.refusals import NotNow
from parley.clock import monotonic
from parley.errors import CredentialRejected, Failure, FirstTokenTimeout
from parley.providers.optional import ProbesCredential

router = APIRouter(tags=["credentials"])

_PATIENCE: Final = 45.0
"""Seconds a probe may take; nginx waits for 60."""


class TestFailure(BaseModel):
    """Why it failed."""

    code: str
    message: str
    blames: Annotated[str, Field(description="Who is at fault: credential, upstream or gateway.")]
    upstream_status: Annotated[int | None, Field(description="The HTTP status that the upstream gave.")]


class TestResult(BaseModel):
    """What came of it."""

    object: Literal["credential.test"] = "credential.test"
    upstream: str
    alias: str
    result: Annotated[Literal["ok", "failed", "no_probe"], Field(description="no_probe: none that costs nothing.")]
    seconds: float | None
    failure: TestFailure | None


@router.post("/upstreams/{upstream}/credentials/{alias}/test", responses={409: {}})
async def test_credential(upstream: str, alias: str, here: Here) -> TestResult:
    """Try a credential now, for free. What comes of it counts: a refused one rests, one that is well does not."""
    place = upstream_named(here, upstream)
    row = await credential_named(here, place, alias)
    provider = here.offer.providers[upstream]
    if not isinstance(provider, ProbesCredential):
        return TestResult(upstream=upstream, alias=row.alias, result="no_probe", seconds=None, failure=None)
    if row.state == "new":
        raise NotNow(f"'{alias}' is a guest's place, and no guest has signed in yet.", param="alias")
    vault = here.state.vault
    credential = await vault.credential(place, row.id)
    began = monotonic()
    failure: Failure | None = None
    try:
        with credential.unsaid(place):
            async with asyncio.timeout(_PATIENCE):
                await provider.probe(credential)
    except TimeoutError:
        failure = FirstTokenTimeout(f"The upstream did not answer within {_PATIENCE:.0f} seconds.")
    except Failure as problem:
        failure = problem
    if failure is None:
        vault.found_well(place, credential, str(CredentialRejected.code))
    elif failure.blames == "credential":
        vault.report(place, credential, failure)
    return TestResult(
        upstream=upstream,
        alias=row.alias,
        result="failed" if failure else "ok",
        seconds=round(monotonic() - began, 3),
        failure=_told(failure) if failure else None,
    )


def _told(failure: Failure) -> TestFailure:
    return TestFailure(
        code=failure.reason,
        message=failure.message,
        blames=failure.blames,
        upstream_status=failure.upstream_status,
    )

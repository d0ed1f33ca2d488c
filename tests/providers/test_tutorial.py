"""The parrot of docs/adding-a-provider.md is run as it is printed there."""

from __future__ import annotations

import re
import types
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from parley.catalog import Upstream
from parley.chat.answer import fold
from parley.chat.prompt import Prompt
from parley.errors import CredentialRejected, Throttled, UpstreamBroken, UpstreamEmpty
from parley.leases import Credential, Lease
from parley.sealed import Secret
from parley.transports import Net
from parley.transports.browser import Browser
from parley.transports.http import HTTP
from parley.transports.websocket import WebSockets
from tests.upstreams.running import Emulator

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-provider.md"


@pytest.fixture(scope="module")
def parrot() -> Any:
    [source] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    module = types.ModuleType("parrot")
    exec(compile(source, str(PAGE), "exec"), vars(module))
    return module.Parrot


@pytest.fixture(scope="module")
def upstream() -> Iterator[Emulator]:
    with Emulator("parrot") as running:
        yield running


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    made = Net(HTTP(), WebSockets(), Browser())
    yield made
    await made.aclose()


async def said(parrot: Any, upstream: Emulator, net: Net, key: str = "polly") -> str:
    place = Upstream("parrot", "parrot", upstream.url)
    lease = Lease("1", place, Credential("c", "c", {"value": Secret(key)}))
    prompt = msgspec.convert({"messages": [{"role": "user", "content": "pretty polly"}]}, Prompt)
    answer = fold([event async for event in parrot(place, net).stream(prompt, lease)])
    assert answer.complete
    return "".join(answer.choices[0].text)


async def test_it_says_words_back(parrot: Any, upstream: Emulator, net: Net) -> None:
    assert await said(parrot, upstream, net) == "pretty\npolly\n"


async def test_its_refusals_are_failures(parrot: Any, upstream: Emulator, net: Net) -> None:
    with pytest.raises(CredentialRejected):
        await said(parrot, upstream, net, key="wrong")
    for status, failure in ((429, Throttled), (500, UpstreamBroken)):
        upstream.fault("status", status=status)
        with pytest.raises(failure):
            await said(parrot, upstream, net)
    upstream.fault("silent")
    with pytest.raises(UpstreamEmpty):
        await said(parrot, upstream, net)

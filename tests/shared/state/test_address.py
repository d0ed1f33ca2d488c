"""REDIS_URL in all its forms, against real servers."""

from __future__ import annotations

import shutil

import pytest

from parley.sealed import Secret
from parley.state.address import BadAddress, dialer
from parley.state.line import Line
from tests.servers import TLS, RedisServer, Sentinel
from tests.shared.state.conftest import recovered

PASSWORD = "a-password"


@pytest.fixture(scope="module")
def guarded():
    with RedisServer(password=PASSWORD) as server:
        yield server


async def echo(url: str) -> bytes | None:
    line = Line(Secret(url), "tester", limit=1.0)
    try:
        return await line.call("ECHO", "x") if await line.open(2) else None
    finally:
        await line.close()


async def test_a_password_is_used(guarded):
    assert await echo(guarded.url) == b"x"


async def test_a_wrong_password_is_not_there_and_is_not_shown(guarded, caplog):
    assert await echo(guarded.url.replace(PASSWORD, "wr0ng")) is None
    assert "wr0ng" not in caplog.text


async def test_the_database_of_the_path_is_chosen(guarded):
    line = Line(Secret(guarded.url.replace("/0", "/3")), "tester", limit=1.0)
    await line.open()
    await line.call("SET", "where", "three")
    info = await line.call("CLIENT", "INFO")
    assert b" db=3 " in info
    await line.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
async def test_tls_is_spoken_and_the_certificate_is_checked(guarded, tmp_path):
    with TLS(guarded, tmp_path) as door:
        assert await echo(door.url) == b"x"
        assert await echo(door.url.partition("?")[0]) is None


async def test_sentinel_leads_to_the_master(guarded):
    with Sentinel(guarded) as sentinel:
        assert await echo(sentinel.url) == b"x"
        assert await echo(sentinel.url.replace("mymaster", "no-such-master")) is None


async def test_sentinel_leads_to_the_new_master_when_the_old_one_died():
    with RedisServer() as old, RedisServer("--replicaof", "127.0.0.1", f"{old.port}") as new, Sentinel(old) as sentinel:
        line = Line(Secret(sentinel.url), "tester", limit=1.0)
        assert await line.open(3)
        assert f":{old.port}".encode() in await line.call("CLIENT", "INFO")
        for _ in range(100):  # the sentinel must know the replica before it can promote it
            if await line.call("INFO", "replication") and b"connected_slaves:1" in await line.call(
                "INFO", "replication"
            ):
                break
        old.kill()
        await recovered(line, 20)
        assert f":{new.port}".encode() in await line.call("CLIENT", "INFO")
        assert await line.call("SET", "x", "y") == b"OK"
        await line.close()


@pytest.mark.parametrize("url", ["http://x", "redis", "redis+sentinel://a:1,b:2", "redis://h:port/0"])
def test_what_cannot_be_understood_is_refused_without_showing_it(url):
    with pytest.raises(BadAddress) as refused:
        dialer(Secret(url.replace("://", "://:hunter2@")), "tester", 1.0)
    assert "hunter2" not in str(refused.value)

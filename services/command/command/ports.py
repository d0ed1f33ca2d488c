"""Ports of this machine: is one free, which one may be used, does somebody answer there."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from contextlib import closing

from command.parts import CannotStart

# Below the range from which systems take the ports of outgoing connections, so that none of those is in our way
# between choosing a port and listening on it.
_CHOICE = range(20000, 32000)


def claim(host: str, port: int) -> None:
    """CannotStart, in one sentence, unless somebody could listen there now."""
    try:
        with closing(_listener(host, port)):
            return
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            reason = f"port {port} of {host} is taken; end what listens there, or choose another with NGINX_PORT=..."
        elif problem.errno == errno.EACCES:
            reason = f"port {port} needs special rights; choose one above 1023 with NGINX_PORT=..."
        else:
            reason = f"nothing can listen on {host}, port {port} ({problem.strerror})"
        raise CannotStart(f"{reason}.") from problem


def free(count: int, host: str = "127.0.0.1") -> list[int]:
    """Some ports that are free now, all different."""
    ports: list[int] = []
    for port in random.sample(_CHOICE, len(_CHOICE)):
        if len(ports) == count:
            return ports
        try:
            with closing(_listener(host, port)):
                ports.append(port)
        except OSError:
            continue
    raise CannotStart(f"no {count} ports are free on {host}.")


async def answers_http(host: str, port: int) -> bool:
    """Whether GET /health/live is answered with 200."""
    head = await _exchange(host, port, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return head.split(b" ")[1:2] == [b"200"]


async def answers_redis(host: str, port: int) -> bool:
    """Whether PING is answered; a server that still loads its data says so instead."""
    return (await _exchange(host, port, b"PING\r\n")).startswith(b"+PONG")


async def _exchange(host: str, port: int, question: bytes) -> bytes:
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port)
            with closing(writer):
                writer.write(question)
                return await reader.readline()
    except (OSError, TimeoutError):
        return b""


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection's remains do not count
        listener.bind((host, port))
        listener.listen(1)
    except BaseException:
        listener.close()
        raise
    return listener

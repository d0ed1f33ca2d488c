"""A SOCKS5 proxy's side of a connection, before what goes on behind it."""

from __future__ import annotations

from .peer import Peer, Scene


def through_socks(scene: Scene) -> Scene:
    """The scene, behind a proxy that asks for no password and makes every connection."""

    async def play(peer: Peer) -> None:
        _, methods = await peer.reader.readexactly(2)
        await peer.reader.readexactly(methods)
        await peer.say(b"\x05\x00")
        *_, kind = await peer.reader.readexactly(4)
        size = {1: 4, 4: 16}.get(kind) or (await peer.reader.readexactly(1))[0]
        await peer.reader.readexactly(size + 2)
        await peer.say(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x01")
        await scene(peer)

    return play

"""Forget why anybody rests, so that one scene's failures do not end the next one's."""

from __future__ import annotations

import redis

from parley.state import keys


def forget_rests(store: redis.Redis, upstream: str) -> None:
    """The upstream and all its credentials may be asked again at once, whatever the model."""
    store.delete(f"{keys.prefix(upstream)}rest", *store.scan_iter(f"{keys.prefix(upstream)}models:*"))
    for record in store.scan_iter(f"{keys.prefix(upstream)}cred:*"):
        store.hdel(record, "until", "reason", "strikes", "probe")

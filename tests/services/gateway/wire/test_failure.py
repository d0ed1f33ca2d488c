"""A failure inside a stream."""

from __future__ import annotations

import json

from gateway.wire.failure import frame
from parley.errors import Throttled
from tests.schema import check_error


def test_inside_a_stream_a_failure_is_one_frame() -> None:
    text = frame(Throttled("Slow\ndown."))
    assert text.startswith(b'data: {"error":{')
    assert text.endswith(b"}}\n\n")
    assert text.count(b"\n") == 2
    check_error(json.loads(text[6:]))

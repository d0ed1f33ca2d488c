"""What a process says: one line a record, in order, without what an exception was told."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from typing import Any

import pytest

from parley import journal as journal_module
from parley.journal import Journal, Lines, told_apart
from parley.sealed import Secret


def read(descriptor: int) -> list[Any]:
    return [json.loads(line) for line in os.read(descriptor, 1 << 20).splitlines()]


async def test_records_are_written_soon_and_in_order() -> None:
    source, sink = os.pipe()
    journal = Journal("gateway", "r-1", sink)
    for number in range(3):
        journal.write({"event": "request", "number": number, "outcome": "failed" if number == 2 else "done"})
    await asyncio.sleep(0.3)
    lines = read(source)
    assert [line["number"] for line in lines] == [0, 1, 2]
    assert [line["level"] for line in lines] == ["info", "info", "warning"]
    assert {(line["service"], line["replica"]) for line in lines} == {("gateway", "r-1")}
    journal.write({"event": "last"})
    await journal.close()
    assert [line["event"] for line in read(source)] == ["last"]


async def test_a_reader_that_takes_nothing_does_not_stop_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_MOST_LINES", 100)
    source, sink = os.pipe()
    journal = Journal("gateway", "r-1", sink)
    worst = 0.0
    for number in range(60):
        for _ in range(10):
            journal.write({"number": number, "padding": "x" * 2000})
        before = time.monotonic()
        await asyncio.sleep(0.01)
        worst = max(worst, time.monotonic() - before)
    assert worst < 0.2
    closing = asyncio.create_task(journal.close())
    closing.add_done_callback(lambda _: os.close(sink))
    text = b""
    while piece := await asyncio.to_thread(os.read, source, 1 << 16):
        text += piece
    assert any("dropped" in json.loads(line) for line in text.splitlines())


async def test_nobody_listening_is_no_error() -> None:
    source, sink = os.pipe()
    os.close(source)
    journal = Journal("gateway", "r-1", sink)
    journal.write({"event": "request"})
    await journal.close()


def broken() -> logging.LogRecord:
    try:
        try:
            raise KeyError("sk-canary-1")
        except KeyError as inner:
            raise RuntimeError("sk-canary-2") from inner
    except RuntimeError:
        info = sys.exc_info()
    return logging.LogRecord("gateway", logging.ERROR, __file__, 1, "it failed: %s", (Secret("sk-canary-3"),), info)


def test_an_exception_is_shown_by_type_and_place_never_by_text() -> None:
    line = Lines("gateway", "r-1").format(broken())
    assert "canary" not in line
    told = json.loads(line)
    assert [cause["type"] for cause in told["exception"]] == ["builtins.RuntimeError", "builtins.KeyError"]
    assert "broken" in told["exception"][0]["at"][-1]
    assert told["message"] == "it failed: Secret(...)"


def test_a_loop_of_causes_ends() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert len(told_apart(first)) == 2


def test_a_message_is_one_line_whatever_is_in_it() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "two\nlines \u2028 and \ud83d", (), None)
    line = Lines("gateway", "r-1").format(record)
    assert "\n" not in line

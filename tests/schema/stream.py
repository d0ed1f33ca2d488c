"""What holds between the chunks of one complete stream (openai.md, 2.3)."""

from __future__ import annotations

from typing import Any

Chunk = dict[str, Any]


def fitting(reason: str, called: bool) -> bool:
    """Whether a choice may end so; a call can also be cut off by a limit or a filter."""
    return reason != "stop" and reason != "function_call" if called else reason != "tool_calls"


def check_order(chunks: list[Chunk], include_usage: bool) -> None:
    """The invariants; chunks are taken to be right each for itself."""
    assert chunks, "the stream has no chunk"
    _same_throughout(chunks)
    _usage(chunks, include_usage)
    turns: dict[int, list[tuple[int, Chunk]]] = {}
    for place, chunk in enumerate(chunks):
        for choice in chunk["choices"]:
            turns.setdefault(choice["index"], []).append((place, choice))
    assert turns, "no chunk has a choice"
    assert sorted(turns) == list(range(len(turns))), f"choice indexes have gaps: {sorted(turns)}"
    for index, said in turns.items():
        _choice(index, said)


def _same_throughout(chunks: list[Chunk]) -> None:
    for name in ("id", "created", "model"):
        values = {chunk[name] for chunk in chunks}
        assert len(values) == 1, f"{name} changes within the stream: {values}"


def _usage(chunks: list[Chunk], include_usage: bool) -> None:
    if not include_usage:
        for place, chunk in enumerate(chunks):
            assert "usage" not in chunk, f"chunk {place} has usage although nobody asked"
            assert chunk["choices"], f"chunk {place} has no choices although nobody asked for usage"
        return
    *before, last = chunks
    for place, chunk in enumerate(before):
        assert "usage" in chunk, f"chunk {place} lacks usage: null"
        assert chunk["usage"] is None, f"chunk {place} has usage before the end"
        assert chunk["choices"], f"chunk {place} has no choices and is not the last"
    assert last["choices"] == [], "the last chunk has choices beside the usage"
    assert last.get("usage"), "the last chunk has no usage"


def _choice(index: int, said: list[tuple[int, Chunk]]) -> None:
    deltas = [(place, choice["delta"]) for place, choice in said]
    roles = [place for place, delta in deltas if "role" in delta]
    assert roles == [deltas[0][0]], f"choice {index}: role in chunks {roles}, not just in the first, {deltas[0][0]}"
    ends = [(place, choice) for place, choice in said if choice["finish_reason"] is not None]
    assert len(ends) == 1, f"choice {index}: {len(ends)} chunks have a finish_reason"
    place, end = ends[0]
    assert place == said[-1][0], f"choice {index}: goes on after its finish_reason in chunk {place}"
    assert end["delta"] == {}, f"choice {index}: finish_reason beside a delta, {end['delta']}"
    calls = _calls(index, deltas)
    reason = end["finish_reason"]
    assert fitting(reason, bool(calls)), f"choice {index}: finish_reason {reason!r} with {calls} tool calls"


def _calls(index: int, deltas: list[tuple[int, Chunk]]) -> int:
    """How many tool calls were told, each opened once and in order."""
    opened = 0
    for place, delta in deltas:
        for call in delta.get("tool_calls", ()):
            at = f"choice {index}, chunk {place}, tool call {call['index']}"
            named = call.get("function", call.get("custom", {}))
            if call["index"] == opened:
                assert call.keys() >= {"id", "type"}, f"{at}: opens without id and type"
                assert "name" in named, f"{at}: opens without a name"
                opened += 1
            else:
                assert call["index"] == opened - 1, f"{at}: {opened} calls are open, indexes must follow each other"
                assert not call.keys() & {"id", "type"}, f"{at}: id or type told again"
                assert "name" not in named, f"{at}: name told again"
    return opened

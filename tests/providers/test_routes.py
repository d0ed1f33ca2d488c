"""A model name with two upstreams behind it: the other one answers until somebody has spoken, and nobody after that.

The other one is Echo, which says the question back as it stands, directives and all.
"""

from __future__ import annotations

import pytest

from tests.providers.subjects import Mishap, one_of_each
from tests.providers.world import LONG, World
from tests.stack.listening import Heard

QUESTION = "!say:asked of whom?"


def first_of(world: World, name: str, scene: str) -> Mishap:
    """The subject's first mishap of a scene; the test is skipped where it cannot happen."""
    mishap = next((mishap for subject, mishap in world.family.cases(scene) if subject.name == name), None)
    if mishap is None:
        pytest.skip(f"{name} plays nothing there")
    return mishap


def answered_by_echo(world: World, heard: Heard, name: str, question: str) -> None:
    assert heard.answer == (question, [], "stop")
    assert heard.headers["x-parley-upstream"] == "echo"
    upstreams = [attempt["upstream"] for attempt in world.record(heard)["attempts"]]
    assert list(dict.fromkeys(upstreams)) == [name, "echo"]


@one_of_each
@pytest.mark.parametrize("scene", ["refused", "throttled", "empty", "garbled"])
def test_before_anybody_spoke_the_other_one_answers(world: World, name: str, scene: str) -> None:
    mishap, question = first_of(world, name, scene), LONG if scene == "garbled" else QUESTION
    for stream in (False, True):
        world.begin(name, mishap)
        heard = world.listen_to(f"{name}-or-echo", question, stream)
        if scene == "garbled" and heard.error is not None:
            assert heard.text or not stream, "it had spoken"
            continue
        answered_by_echo(world, heard, name, question)


@one_of_each
def test_who_keeps_silent_is_not_waited_for(world: World, name: str) -> None:
    first_of(world, name, "silent")
    answered_by_echo(world, world.silences["backed", name, True], f"{name}-hasty", LONG)


@one_of_each
def test_after_somebody_spoke_nobody_else_does(world: World, name: str) -> None:
    world.begin(name, first_of(world, name, "broken off"))
    heard = world.listen_to(f"{name}-or-echo", LONG, True)
    assert heard.code == "upstream_truncated" and heard.finish is None
    assert heard.text and LONG.startswith(f"!say:{heard.text[:-1]}")
    assert [attempt["upstream"] for attempt in world.record(heard)["attempts"]] == [name]

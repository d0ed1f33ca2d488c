"""A model name with two upstreams behind it: the other one answers until somebody has spoken, and nobody after that.

The other one is Echo, which says the question back as it stands, directives and all.
"""

from __future__ import annotations

import pytest

from tests.providers.subjects import Mishap, cases, id_of
from tests.providers.world import LONG, World
from tests.stack.listening import Heard

QUESTION = "!say:asked of whom?"


def met(*scenes: str) -> pytest.MarkDecorator:
    """One of each kind in each of these scenes that can happen to it, by its first mishap there."""
    found = {
        f"{id_of(family, subject)}-{scene}": (family, subject.name, scene, mishap)
        for scene in scenes
        for family, subject, mishap in reversed(cases(scene))
        if not subject.akin
    }
    return pytest.mark.parametrize(("family", "name", "scene", "mishap"), [*found.values()], ids=[*found])


def answered_by_echo(world: World, heard: Heard, name: str, question: str) -> None:
    assert heard.answer == (question, [], "stop")
    assert heard.headers["x-parley-upstream"] == "echo"
    upstreams = [attempt["upstream"] for attempt in world.record(heard)["attempts"]]
    assert list(dict.fromkeys(upstreams)) == [name, "echo"]


@met("refused", "throttled", "empty", "garbled")
def test_before_anybody_spoke_the_other_one_answers(world: World, name: str, scene: str, mishap: Mishap) -> None:
    question = LONG if scene == "garbled" else QUESTION
    for stream in (False, True):
        world.begin(name, mishap)
        heard = world.listen_to(f"{name}-or-echo", question, stream)
        if scene == "garbled" and heard.error is not None:
            assert heard.text or not stream, "it had spoken"
            continue
        answered_by_echo(world, heard, name, question)


@met("silent")
def test_who_keeps_silent_is_not_waited_for(world: World, name: str, scene: str, mishap: Mishap) -> None:
    answered_by_echo(world, world.silences["backed", name, True], f"{name}-hasty", LONG)


@met("broken off")
def test_after_somebody_spoke_nobody_else_does(world: World, name: str, scene: str, mishap: Mishap) -> None:
    world.begin(name, mishap)
    heard = world.listen_to(f"{name}-or-echo", LONG, True)
    assert heard.code == "upstream_truncated" and heard.finish is None
    assert heard.text and LONG.startswith(f"!say:{heard.text[:-1]}")
    assert [attempt["upstream"] for attempt in world.record(heard)["attempts"]] == [name]

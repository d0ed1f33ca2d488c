"""Every frame boundary of an answer, through the real front: what an upstream did not finish is never a clean stop."""

from __future__ import annotations

from tests.providers.subjects import one_of_each
from tests.providers.world import World
from tests.stack.listening import DONE

WORDS = "one two three four five"


@one_of_each
def test_no_finish_reason_is_said_that_the_upstream_did_not_say(world: World, name: str) -> None:
    """The stand-in's own answer, broken off behind every frame, politely and not."""
    subject = world.subjects[name]
    if subject.stand_in is None:
        return
    world.begin(name)
    upstream = world.stand_in(name)
    assert world.listen(name, f"!say:{WORDS}", True).answer == (WORDS, [], "stop")
    ends = [0, *upstream.stats()["frames"]]
    finishes: dict[str, str | None] = {}  # by what was said until then, the first time that so much was said
    for many in range(len(ends) if len(ends) > 1 else 100):
        for mishap in (mishaps := subject.breaks(many, ends[many] if len(ends) > 1 else 0)):
            for stream in (True, False) if mishap is mishaps[0] else (True,):
                upstream.heal()
                world.play(name, mishap)
                heard = world.listen(name, f"!say:{WORDS}", stream)
                place = f"{mishap} behind {many} of {len(ends) - 1} frames, stream={stream}"
                if heard.error is None:
                    assert heard.answer == (WORDS, [], "stop"), f"half an answer passed for a whole: {place}"
                else:
                    assert heard.finish in ((None, "stop") if heard.text == WORDS else (None,)), f"invented: {place}"
                    assert heard.code in ("upstream_truncated", "upstream_empty", "upstream_error"), place
                    assert not heard.wire.endswith(DONE), place
                    assert WORDS.startswith(heard.text), place
                finishes.setdefault(heard.text, heard.finish)
        if not mishaps:
            break
    assert len(finishes) > 2, "it was not broken off within its words"
    assert subject.ends_with_words or finishes.get(WORDS) is None, "the last word came, and it passed for the end"

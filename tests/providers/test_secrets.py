"""After all that went wrong before: no secret of a provider was logged, sealed badly, or said back to a caller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.contents import contents
from tests.providers.subjects import one_of_each
from tests.providers.world import World
from tests.stack.running import until

_SHORTEST = 8
"""Letters of a part that is worth hiding; shorter ones are names such as a region's."""


def secrets_of(item: Any) -> Iterator[str]:
    """The secret texts of a credential as the configuration has it."""
    parts = item if isinstance(item, dict) else {"value": item}
    for name, value in parts.items():
        if (
            name not in ("alias", "base_url", "proxy", "timeouts")
            and isinstance(value, str)
            and len(value) >= _SHORTEST
        ):
            yield value


@one_of_each
def test_no_secret_lies_open(world: World, name: str) -> None:
    subject = world.subjects[name]
    hidden = [text for item in subject.upstream.get("credentials", ()) for text in secrets_of(item)]
    if not hidden:
        return

    def logs() -> str:
        files = sorted((world.stack.folder / "state" / "logs").glob("*.log"))
        return "\n".join(file.read_text(errors="replace") for file in files)

    world.begin(name)
    assert world.listen(name, "!say:hello", False).text == "hello"
    refusals = [mishap for whose, mishap in world.family.cases("refused") if whose is subject]
    for mishap in refusals[:2]:  # a refusal often repeats what it refuses
        world.begin(name, mishap)
        heard = world.listen(name, "!say:hello", False)
        assert not [text for text in hidden if text in heard.wire.decode(errors="replace")]
    until(lambda: name in logs(), 10)
    said = logs()
    said += b"\n".join(held for _, held in contents(world.stack.redis_url)).decode(errors="replace")
    found = [text[:3] + "..." for text in hidden if text in said]
    assert not found, f"in the logs or in Redis: {found}"

"""The models of the WebSocket API: where each is, what it is called there, and what it can (section 1.1 and 2.1).

Address and domain belong together; a socket opened at one address refuses the domain of another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

_MAAS: Final = "wss://maas-api.cn-huabei-1.xf-yun.com/v1.1/chat"


@dataclass(frozen=True, slots=True)
class Version:
    """One model."""

    domain: str
    address: str
    most_tokens: int = 8192
    most_temperature: float = 1.0
    system: bool = False
    """Whether the first message may be a system's."""
    functions: bool = False
    search: bool = False
    """Whether it looks things up on the web when told to."""
    images: bool = False
    reasons: bool = False
    """Whether it thinks first, and takes `top_p` and the penalties."""
    patch_id: str = ""
    """Which fine-tuning, on the platform for these."""


def _spark(path: str, domain: str, **more: bool | int | float) -> Version:
    return Version(domain, f"wss://spark-api.xf-yun.com{path}", **more)  # type: ignore[arg-type]  # by their names


_LOOKING: Final = "wss://spark-api.cn-huabei-1.xf-yun.com/v2.1/image"
VERSIONS: Final[dict[str, Version]] = {
    "lite": _spark("/v1.1/chat", "lite", most_tokens=4096),
    "general": _spark("/v1.1/chat", "general", most_tokens=4096),
    "generalv2": _spark("/v2.1/chat", "generalv2"),
    "generalv3": _spark("/v3.1/chat", "generalv3", system=True),
    "pro-128k": _spark("/chat/pro-128k", "pro-128k", most_tokens=4096, system=True),
    "generalv3.5": _spark("/v3.5/chat", "generalv3.5", system=True, functions=True),
    "max-32k": _spark("/chat/max-32k", "max-32k", system=True, functions=True),
    "4.0Ultra": _spark("/v4.0/chat", "4.0Ultra", system=True, functions=True, search=True),
    "kjwx": Version("kjwx", "wss://spark-openapi-n.cn-huabei-1.xf-yun.com/v1.1/chat_kjwx"),
    "x1": _spark("/v1/x1", "x1", most_tokens=32768, most_temperature=2.0, search=True, reasons=True),
    "image": Version("image", _LOOKING, images=True),
    "imagev3": Version("imagev3", _LOOKING, images=True),
}
"""By the name that callers use, which is the domain."""

_OTHER_NAMES: Final = {
    "v1.1": "general",
    "v1.5": "general",
    "v2.0": "generalv2",
    "v2.1": "generalv2",
    "v3.0": "generalv3",
    "v3.1": "generalv3",
    "v3.5": "generalv3.5",
    "v4.0": "4.0Ultra",
    **{name.lower(): name for name in VERSIONS},
}
OFFERED: Final = tuple(name for name in VERSIONS if name not in ("general", "generalv2"))
"""What is listed; the others are an older name, and withdrawn."""


def version(name: str) -> Version | None:
    """The version of this name, or of the wrapped project's name for it."""
    return VERSIONS.get(_OTHER_NAMES.get(name.lower(), name))


def tuned(name: str) -> Version:
    """A model that an operator fine-tuned, as long as nothing more is said of it."""
    return Version(name, _MAAS)


def moved(version: Version, base_url: str) -> Version:
    """The version at another place than the vendor's: below `base_url`, which may also be its whole address."""
    if not base_url:
        return version
    scheme, separator, rest = base_url.rstrip("/").partition("://")
    base = f"{scheme.lower().replace('http', 'ws', 1)}{separator}{rest}"
    path = urlsplit(version.address).path
    return replace(version, address=base if base.endswith(path) else base + path)

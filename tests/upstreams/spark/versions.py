"""The versions, as the vendor's page lists them: written down once more, so that a slip in Parley's own list shows."""

from __future__ import annotations

import msgspec


class Version(msgspec.Struct):
    """What one path takes."""

    domains: tuple[str, ...]
    most_tokens: int = 8192
    most_temperature: float = 1.0
    context: int = 8192
    system: bool = False
    functions: bool = False
    search: bool = False
    images: bool = False
    reasons: bool = False


PATHS = {
    "/v1.1/chat": Version(("lite", "general"), 4096),
    "/v2.1/chat": Version(("generalv2",)),
    "/v3.1/chat": Version(("generalv3",), system=True),
    "/chat/pro-128k": Version(("pro-128k",), 4096, context=131072, system=True),
    "/v3.5/chat": Version(("generalv3.5",), system=True, functions=True),
    "/chat/max-32k": Version(("max-32k",), context=32768, system=True, functions=True),
    "/v4.0/chat": Version(("4.0Ultra",), system=True, functions=True, search=True),
    "/v1.1/chat_kjwx": Version(("kjwx",)),
    "/v1/x1": Version(("x1",), 32768, 2.0, 32768, search=True, reasons=True),
    "/v2.1/image": Version(("image", "imagev3"), images=True),
    "/maas/v1.1/chat": Version(("xtuned",)),
}
HTTP_MODELS = {
    "/v1/chat/completions": ("lite", "generalv3", "pro-128k", "generalv3.5", "max-32k", "4.0Ultra"),
    "/v2/chat/completions": ("x1", "x1-preview"),
    "/x2/chat/completions": ("spark-x",),
}
HTTP_BOUNDS = {"lite": 4096, "pro-128k": 4096, "x1": 32768, "x1-preview": 32768, "spark-x": 32768}

"""What the web application of claude.ai is asked and says: its modern, one-request conversation.

Protocol: `upstreams/claude-web.md`, sections 1.2, 1.3, 1.6 and 1.7; older forms of its chat call are not spoken.
"""

from parley.dialects.claude_web.account import Key, chats, device, mark, marked, organization, used_up
from parley.dialects.claude_web.decode import Decoder
from parley.dialects.claude_web.encode import LOCALES, Effort, Manner, Turn, encode
from parley.dialects.claude_web.refusals import refusal

__all__ = [
    "LOCALES",
    "Decoder",
    "Effort",
    "Key",
    "Manner",
    "Turn",
    "chats",
    "device",
    "encode",
    "mark",
    "marked",
    "organization",
    "refusal",
    "used_up",
]

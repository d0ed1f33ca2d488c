"""What FlowGPT's chat backend is asked and says: JSON out, lines of JSON back (`upstreams/flowgpt.md`)."""

from parley.dialects.flowgpt.clean import Cleaner
from parley.dialects.flowgpt.decode import Decoder, conversation_id
from parley.dialects.flowgpt.encode import Context, Personality, Talk, chat, conversation, guest_chat, told
from parley.dialects.flowgpt.refusals import failure_of, speaks_of_signature
from parley.dialects.flowgpt.sign import Facts, check, fresh_nonce, signed, successor
from parley.dialects.flowgpt.token import Token, read_token

__all__ = [
    "Cleaner",
    "Context",
    "Decoder",
    "Facts",
    "Personality",
    "Talk",
    "Token",
    "chat",
    "check",
    "conversation",
    "conversation_id",
    "failure_of",
    "fresh_nonce",
    "guest_chat",
    "read_token",
    "signed",
    "speaks_of_signature",
    "successor",
    "told",
]

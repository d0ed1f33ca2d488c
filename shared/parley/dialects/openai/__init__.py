"""What is said to services that speak OpenAI's API, and what they say (`upstreams/openai.md`, `huggingface.md`). Pure.

`encode` writes a prompt, `Decoder` reads the pieces of an answer and repairs them, `failure_of` reads refusals.
"""

from parley.dialects.openai.decode import Decoder
from parley.dialects.openai.encode import Rules, encode
from parley.dialects.openai.refusals import failure_of, failure_said

__all__ = ["Decoder", "Rules", "encode", "failure_of", "failure_said"]

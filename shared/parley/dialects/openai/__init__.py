"""What is said to services that speak OpenAI's API, and what they say (`upstreams/openai.md`, `huggingface.md`). Pure.

`encode` writes a prompt, `Decoder` reads the pieces of an answer and repairs them, `failure_of` reads refusals.
"""

from parley.dialects.openai.decode import Decoder, failure_in
from parley.dialects.openai.encode import Rules, encode
from parley.dialects.openai.refusals import NO_VERDICTS, Verdict, failure_of, failure_said

__all__ = ["NO_VERDICTS", "Decoder", "Rules", "Verdict", "encode", "failure_in", "failure_of", "failure_said"]

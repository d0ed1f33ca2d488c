"""What is said to Anthropic's Messages API, and what it says (`upstreams/anthropic.md`). Pure.

`encode` writes a prompt as a question, `Decoder` reads the events of its answer, `failure_of` reads refusals.
"""

from parley.dialects.anthropic.decode import Decoder
from parley.dialects.anthropic.encode import Question, Rules, encode
from parley.dialects.anthropic.refusals import SAMPLING, failure_of

__all__ = ["SAMPLING", "Decoder", "Question", "Rules", "encode", "failure_of"]

"""What is said to Google's Gemini API, and what it says (`upstreams/gemini.md`). Pure.

`encode` writes a prompt in some `Manner`, `remedied` tells which other manner a refusal asks for, `Decoder` reads the
pieces of an answer, `failure_of` and `failure_said` read refusals.
"""

from parley.dialects.gemini.decode import Decoder
from parley.dialects.gemini.encode import DROPS, encode
from parley.dialects.gemini.manner import Manner, remedied
from parley.dialects.gemini.models import path_of
from parley.dialects.gemini.refusals import failure_of, failure_said

__all__ = ["DROPS", "Decoder", "Manner", "encode", "failure_of", "failure_said", "path_of", "remedied"]

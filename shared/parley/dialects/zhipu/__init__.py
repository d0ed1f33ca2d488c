"""What is said to Zhipu's platform, and what it says (`upstreams/zhipu.md`). Pure.

`encode` writes a prompt for the v4 API, `Decoder` reads its answer: OpenAI's own, but for its codes and for the way it
writes arguments. `SignIn` is the Authorization of an answer, `failure_of` and `failure_in` judge by code. `v3` is the
API of chatglm's days.
"""

from parley.dialects.zhipu.decode import Decoder
from parley.dialects.zhipu.encode import DROPS, Taste, encode
from parley.dialects.zhipu.refusals import DUPLICATE_ID, failure_in, failure_of
from parley.dialects.zhipu.signing import SignIn, is_key

__all__ = ["DROPS", "DUPLICATE_ID", "Decoder", "SignIn", "Taste", "encode", "failure_in", "failure_of", "is_key"]

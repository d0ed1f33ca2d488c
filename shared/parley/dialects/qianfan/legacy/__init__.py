"""The API of access tokens (`upstreams/baidu-qianfan.md` part A): a path for each model, errors with status 200. Pure.

models.py   which path a model has        turns.py    the conversation as it takes one
encode.py   questions                     decode.py   answers                        refusals.py   codes
"""

from parley.dialects.qianfan.legacy.decode import Decoder
from parley.dialects.qianfan.legacy.encode import encode
from parley.dialects.qianfan.legacy.models import OFFERED, endpoint
from parley.dialects.qianfan.legacy.refusals import failure_of

__all__ = ["OFFERED", "Decoder", "encode", "endpoint", "failure_of"]

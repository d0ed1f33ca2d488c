#!/bin/sh
# Writes the hashed lock files anew from pyproject.toml (uv from PyPI does the resolving; no registry is named in them).
# product.txt: what an image holds.  run.txt: that, and nginx and a Redis-compatible server, for `make run`.  test.txt: all.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-uv}
lock() { "$uv" pip compile pyproject.toml requirements/build.in --universal --python-version 3.11 --generate-hashes \
         --no-header --no-emit-index-url --no-annotate --quiet "$@"; }
lock -o requirements/product.txt
lock --extra servers -c requirements/product.txt -o requirements/run.txt
lock --extra servers --extra test -c requirements/run.txt -o requirements/test.txt
# Vendors' own clients, each for a virtual environment of its own (tests/upstreams/vendor.py).
vendor() { echo "$2" | "$uv" pip compile - --universal --python-version 3.11 --generate-hashes \
           --no-header --no-emit-index-url --no-annotate --quiet -o "requirements/vendor-$1.txt"; }
vendor h2ogpte16 h2ogpte==1.6.10
vendor h2ogpte17 h2ogpte==1.7.5
vendor anthropic anthropic==2.11.0
vendor anthropic060 anthropic==0.60.0
vendor spark spark_ai_python==0.4.5
vendor zhipu zai-sdk==0.2.3
# It imports sniffio, which its own requirements once brought along.
vendor zhipuai "zhipuai==2.1.5.20250825
sniffio"
vendor qianfan qianfan==0.4.12.3
vendor gemini google-genai==3.4.0
vendor gemini130 google-genai==1.30.0
vendor huggingface huggingface_hub==2.4.0
vendor openai028 openai==0.28.1
# The tool that holds both APIs to their own descriptions (tests/stack/test_schemathesis.py).
vendor schemathesis schemathesis==4.32.5

"""A stand-in for Parrot: `python -m tests.upstreams.parrot [--port N]`.

`POST /say` takes `{"voice": ..., "text": ...}` and a key, and says the text back in lines of JSON, or does what its
last spoken line wants (`tests/upstreams/directives.py`: `!say:`, `!slow:`, `!report`); `GET /voices` lists voices.
`!report` answers a JSON with `body`, `headers` (lower-case names) and `key`.

Settings (`Emulator.set`):

    keys ["polly", "molly"], voices ["pretty"]
    piece 7, first_delay 0, piece_delay 0      characters per line; seconds before the first, before each

Faults; routes `chat`, `voices`; the credential is the key:

    unauthorized (401), rate_limit (429; `retry_after`), server_error (500), raw (`status`, `text`, `content_type`)
    no_words, never_done, garbage
    bytewise (`size` 1), reset, cut, stall (`bytes` 200), hang (`seconds`)
"""

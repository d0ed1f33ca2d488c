"""A stand-in for Google's Gemini API: `python -m tests.upstreams.gemini [--port N]`.

It offers, in v1, v1beta and v1alpha, `POST models/{model}:generateContent`, `:streamGenerateContent` (with `alt=sse` or
as one array), `:countTokens`, `:embedContent`, `:batchEmbedContents`, `GET models` (in pages) and `GET models/{model}`;
and the vendor's look-alike of OpenAI's API below `/v1beta/openai/` (`compatible.py`). Requests are read as protobuf's
JSON is (`reading.py`): both spellings of every name, both alphabets of base64, whole numbers written as floats; unknown
names are refused. Then `rules.py` refuses what the service refuses: the order of turns, results that do not fit their
calls, signatures, what a model does not have.

Answers are the same every time: the last turn's words (or tools' results) said back in small pieces, or what a
directive in them asks for (`tests/upstreams/directives.py`). Beyond that:

- `!report` answers a JSON with `body` as it came, `read` as it was understood, `headers` (lower-case names), `path` and
  `key`.
- `!think:` is shown where thoughts were asked for, and costs where the model thinks; `!stop:` is Gemini's own word, in
  any case; `!refuse:` ends with SAFETY and says nothing.
- A schema is answered with a value that fits; mode ANY with a call of the first function allowed.
- Models that think sign the first call of a group, for their project and themselves.

Settings (`Emulator.set`):

    keys {key: project}, models {name: what it can do (settings.Model)}
    strict true             refuse what the service refuses; unknown names are refused all the same
    plain_schemas [version] versions that know parametersJsonSchema and responseJsonSchema
    fetches false           fileUri may be any address
    answer null             always answer this text
    piece 4, first_delay 0, piece_delay 0      characters per piece; seconds before the first, before each
    newline "crlf" | "lf", calls_together false (all calls of an answer in one frame), cached 0 (tokens)
    context 1048576, page 50 (most models in a page), record true (bodies and headers in the log)
    rate {"requests": 2, "seconds": 60} per key, then 429 with RetryInfo

Statistics beside the shared ones: `counts` (`chat`, `count`, `embed`, `models`, `model`, `unknown`, `status:N`,
`fault:NAME`, `hangup`), `credentials`, `connections` (`tests/upstreams/visits.py`); `log` entries hold `key`, `method`,
`path`, `model`, `headers`, `body`; `hangups` hold `at`, `key`, `route`, `sent` (bytes of body).

Faults (`Emulator.fault(NAME, times, **params)`); the routes are those counted; the credential is the key.
`also=[NAME, ...]` lets further faults happen to the same request, with the same params.

Refusals. All take `message`, `status` (HTTP), `headers`, `retry_delay` ("17s"), and `shape`: "object", "array", "html".
    api_key_invalid, api_key_expired, invalid_argument, context_length, location, billing, unauthenticated,
    unregistered, service_disabled, key_leaked, not_found, too_large, rate_limit (with RetryInfo), rate_limit_bare,
    quota_day, quota_zero, cancelled, internal, overloaded, deadline

Whole answers replaced (the request was right):
    raw (`text` or `hex`, `status`, `content_type`, `headers`), empty_body (`content_type`), not_json, truncated_json,
    html_in_200

What frames say:
    prompt_blocked (`reason`, `after`), finish (`reason`, `message`), last_without_parts, last_without_content, no_words
    (only thoughts stay; `reason`), usage_frame, missing_usage, missing_candidates, never_candidates, no_finish,
    finish_unspecified, call_without_args, call_without_id, call_without_name, call_unsigned, safety_ratings,
    signed_end, picture, index_omitted, long_line (`bytes`, 1 MiB unless told), error_frame (`after`, `error`: a
    refusal's name, `array`)

How a stream is written:
    garbage_frame (`after`), error_bare (`after`, `error`), several_lines, comments, event_named, no_space, done,
    no_final_blank, array_stream

How bytes travel:
    bytewise (`size` 1, `pause` 0), reset (`bytes` 200: RST after so many), cut (`bytes`: FIN, no terminal chunk),
    stall (`bytes`), hang (`seconds`; nothing at all), slow_first_byte (`seconds` after the head), gzip,
    close_delimited, fixed_length
"""

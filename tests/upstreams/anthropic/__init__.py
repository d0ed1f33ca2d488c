"""A stand-in for Anthropic's Messages API: `python -m tests.upstreams.anthropic [--port N]`.

It offers `POST /v1/messages` (unary and streamed), `POST /v1/messages/count_tokens`, `GET /v1/models` (with pages) and
`GET /v1/models/{id}`; everything else is 404. A prefix before `/v1` is kept as proxies do. Answers are the same every
time: the last words of the user said back in small pieces (or the results of tools, where only those were told), or
what a directive asks for (`tests/upstreams/directives.py`). Beyond that:

- `!report` answers a JSON with `body`, `headers` (lower-case names), `path` (raw), `key` and `auth` as they arrived.
- A model thinks (`!think:`, else a few words of its own) only when the request lets it; thoughts are signed, and a
  thought that comes back with another signature is refused. `!refuse:` is a refusal with its explanation.
- `output_config.format` is answered with a value that fits the schema; `tool_choice` any or tool with a call.
- `cache_control` remembers prefixes of `cache_minimum` tokens and more, per key, and the usage says so.
- Both versions of the API with their rules; `x-api-key` wins over a Bearer.

Settings (`Emulator.set`):

    keys, powerless_keys          who may call; who is refused with 403
    models {name: {sampling "free"|"one"|"none", thinking "budget"|"adaptive"|"none", schemas, prefill, longest}}
    any_model false, strict true  refuse what the service refuses (rules.py)
    alternate true                refuse two turns of one role in a row, as other hosts of Claude do
    answer null                   always answer this text
    piece 4, first_delay 0, piece_delay 0      characters per piece; seconds before the first, before each
    cache_minimum 1024, page 20 (models per page when no limit is asked), record true
    rate {"requests": 2, "seconds": 60}        per key, then 429 with retry-after

Statistics beside the shared ones: `counts` (`chat`, `count_tokens`, `models`, `model`, `unknown`, `status:N`,
`fault:NAME`, `hangup`), `credentials`, `connections`; `log` entries hold `key`, `auth` (x-api-key or bearer), `id`,
`method`, `path`, `headers`, `body`, `attempt` (X-Stainless-Retry-Count); `hangups` hold `at`, `key`, `route`, `id` and
`sent`.

Faults (`Emulator.fault(NAME, times, **params)`); the routes are those of the counts; the credential is the key.
`also=[NAME, ...]` lets further faults happen to the same request, with the same params.

Refusals (errors.py). All take `status`, `message`, `type`, `error_code`, `retry_after`, `retry_after_ms`,
`should_retry`, `headers`:
    invalid_request, authentication, billing, permission, forbidden (an edge's), not_found, conflict, too_large,
    rate_limit, spend_cap (429 without retry-after), spend_limit (400), credit_balance (400), api_error, html (502),
    timeout, overloaded (529), context_too_long, context_limit, max_tokens_too_large, content_filter

Whole answers replaced: raw, empty_body, not_json, html_in_200, redirect (as in tests/upstreams/openai), json_for_stream

What events say (twists.py):
    error_event (after `events` events, 4 unless told; `type`, `message`), no_message_stop, no_message_delta,
    unknown_events, unknown_deltas, unknown_blocks, pings, ping_for (`seconds`, then the answer), no_partial_json,
    whole_input, usage_in_delta, usage_missing, delta_usage_missing, no_content, no_block_stop, refusal, pause_turn,
    stop_reason (`reason`), redacted, interleaved

How a stream is framed (frames.py):
    unnamed (no event names), crlf, cr, comments, done, no_space, no_final_blank, bom, garbage_frame

How bytes travel: bytewise, reset, cut, stall, hang, slow_headers, slow_first_byte, gzip, close_delimited, fixed_length
(as in tests/upstreams/openai)
"""

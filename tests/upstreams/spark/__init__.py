"""A stand-in for iFlytek Spark, both its APIs: `python -m tests.upstreams.spark [--port N]`.

WebSockets at the path of every version (`/v1.1/chat`, `/v3.5/chat`, `/v4.0/chat`, `/chat/max-32k`, `/v1/x1`,
`/v1.1/chat_kjwx`, `/v2.1/image`, ...), signed; `POST /v1/chat/completions`, `/v2/...` and `/x2/...`, by password.
Answers are the same every time: the last user text said back in small pieces, or what a directive in it asks for
(`tests/upstreams/directives.py`). One piece is one token. Beyond that:

- `!report` answers a JSON with `frame` (HTTP: `body`), `path`, `query`, `headers`, `credential` as they arrived.
- A question with functions is answered with a call of `!tool:`; over HTTP `tool_choice` is obeyed too, and
  `response_format` is answered with an object. A web search that was asked for adds a frame of plugins.
- `max_tokens` is obeyed, and nothing in the answer says so but the count of its tokens.

Settings (`Emulator.set`):

    applications {api_key: {"app_id", "api_secret", "domains" (null: all), "locked"}}     who may open sockets
    passwords {password: [model, ...] (null: all)}                who may ask over HTTP; `KEY:SECRET` may ask all
    now null, clock_offset 0      the service's clock: frozen (seconds since the epoch), or ahead of ours
    strict true                   refuse what the vendor refuses (rules.py)
    answer null                   always answer this text
    piece 4, first_delay 0, piece_delay 0      characters per piece; seconds before the first, before each
    concurrency 0                 sockets at a time per application, then 11203; 0: no limit
    one_per_user false            10006 when a user asks again while being answered
    rate {"requests": 2, "seconds": 60}        per application, then 11202
    daily null                    answers per application, then 11201
    idle 60                       seconds without a question after which a socket is closed
    linger 1                      seconds that a socket stays open after its answer, before the service closes it
    errors "envelope" | "code"    how HTTP refuses: a status and an error object, or 200 and a code

Statistics beside the shared ones: `counts` (`socket`, `question`, `chat`, `refused:CODE`, `status:N`, `fault:NAME`,
`hangup`, `second_question`, `slip`), `credentials` {app_id or password: {requests, now, most, at}}, `connections`;
`log` entries hold `credential`, `path`, `query`, `headers`, `frame` or `body`; `hangups` hold `at`, `credential`,
`route`, `sent` (frames, or bytes), `close_code`.

Faults (`Emulator.fault(NAME, times, **params)`); the routes are `socket` (the handshake; `socket/v3.5/chat`: of that
version), `question` (a frame that asks) and `chat` (HTTP), and must be named where a fault is in two lists; the
credential is the app_id or the password.

At the handshake:
    unauthorized, no_credential, headers_list, bad_signature (401), clock (403): the vendor's own words
    refuse (`status`, `text`, `content_type`, `retry_after`); slow (`seconds`); hang; reset
Frames (also chunks over HTTP where marked with *):
    code* (`code`, `message`, `frames` said before it; 0 unless told)
    reset, cut (no close frame), close (`code`, 1000 unless told), stall: all after `frames`
    not_json (`frames`), not_utf8 (`frames`), split (`size`: continuation frames, cut inside characters)
    single, empty, no_usage*, empty_list, no_sid, late, plugin, header_status, choices_status, no_content, ping, binary
HTTP alone:
    http_error (`status`, `code`, `message`, `retry_after`), invalid_user, bad_form (401); raw (`text`, `status`,
    `content_type`); tool_calls_object, no_ids, finish_reason, no_done, json_for_stream, spaced, empty
    bytewise (`size`), cut_bytes, reset_bytes, stall_bytes (`bytes`), hang, gzip
"""

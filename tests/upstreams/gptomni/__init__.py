"""A stand-in for gptomni.ai's text chat: `python -m tests.upstreams.gptomni [--port N]`.

`POST /api/chatWithText` takes `{"prompt": "..."}` as text/plain and answers with the raw bytes of a text, no framing
and no end marker; `GET /api/auth/session`, `GET /api/auth/csrf`, `GET /zh/login` (and whatever a redirect names) exist.
The prompt is said back; its last spoken line may hold a directive (`tests/upstreams/directives.py`: `!say:`, `!slow:`,
`!report`), so transcripts can carry one too, and a prompt that begins with one keeps its newlines. `!report` answers a
JSON with `prompt`, `headers` (lower-case names), `cookies`, `account`.

Settings (`Emulator.set`):

    cookies ["tok-1", "tok-2", "tok-3"]     valid values of `__Secure-next-auth.session-token` (also in parts .0, .1)
    bad_cookie "401"        how another value is answered: "401", "401_empty", "403", "redirect", "json_200",
                            "html_200"
    strict true             415 unless text/plain; 400 unless the body is exactly {"prompt": string}
    answer null             always answer this text
    piece 7                 bytes per write: it cuts inside characters and inside CRLF
    first_delay 0, piece_delay 0
    framing "chunked"       or "close", "length"
    content_type "text/plain; charset=utf-8"        "" for none
    roll_every 0            every n-th answer of an account renews its session token by Set-Cookie
    roll_replaces false     the renewed token makes the older ones invalid at once
    expire_after {cookie: n}        the account's cookies are dead after n answers
    rate {"requests": 2, "seconds": 60}     per account, then 429 with Retry-After (those count too)
    record true             headers and prompts in the log

Accounts are named after their first token; a renewed token is `NAME~N`, and comes with a second cookie,
`emu-owner=NAME`. A request that carries tokens or owners of two accounts, or that follows a redirect made for another
account, is a leak: `stats()["leaks"]`. Also `credentials` {account: {requests, now, most, at: [times]}},
`connections`, `tokens` {account: newest}; counts `chat`, `session`, `csrf`, `page`, `unknown`, `leak`, `status:N`,
`fault:NAME`, `hangup`.

Faults; routes `chat`, `session`, `csrf`, `page`; the credential is the account. They strike before cookies are looked
at. Each refusal takes `status`, `headers`, `retry_after`, `text`.

    unauthorized_json, unauthorized_empty, forbidden_json, redirect_login (302 or `status`; `location`), error_json_200,
    message_json_200, login_html_200, cloudflare_403, cloudflare_503, cloudflare_429, cloudflare_200 (challenge pages),
    cloudflare_block ("Attention Required!"), rate_limit, rate_limit_text, quota (402 or `status`), too_large,
    bad_request, server_error (500 or `status`), bad_gateway_html (502 or `status`)
    empty, whitespace, raw (`hex` or `text`), invalid_utf8, half_character (the end cuts a character), bom,
    long (`bytes`, 4 MiB), json_text (an answer that happens to be JSON), no_content_type, event_stream_type,
    roll (Set-Cookie now)
    hang (`seconds`), slow_first_byte (`seconds`), slow_drip and bytewise (`size` 1, `pause`), stall, reset, cut
    (`bytes` each, 12 unless told; cut: FIN without terminal chunk, or short of Content-Length), gzip, close_delimited,
    fixed_length; `also=[NAME, ...]` adds further ones, not refusals
"""

"""A stand-in for FlowGPT's chat backend and the site beside it: `python -m tests.upstreams.flowgpt [--port N]`.

    POST /conversation/create               {promptId, location, messages} -> {id, promptId}
    POST /v3/chat                           a signed question; lines of JSON back
    POST /v3/chat-anonymous, /v2/chat-anonymous     the same for guests, by address
    GET  /conversation/latest?promptId=     the account's conversations
    GET  /models/settings-list              an empty list
    GET  /api/auth/refresh                  a fresh token for a login cookie
    GET  /api/trpc/prompt.getPrompts        the catalogue

Tokens are made by `tokens.token(ACCOUNT)`: JWTs of the recorded shape whose last part only this module can make. The
question is said back; it may hold directives (`tests/upstreams/directives.py`: `!say:`, `!slow:`, `!think:` puts an
analysis before the answer, `!report`). `!report` answers a JSON with `route`, `body`, `headers` (lower-case names),
`account`, `conversation` (what `create` was told; null without) and `heard` (all that the model sees, in order).

Strict about: the token (shape, last part, `exp`, account), the device (present; one per account, one account per
device: anything else is a leak), the headers of section 1.2, keys and types of every body, the prompt's id, whose a
conversation is and for which prompt, the nonce (32 hex, never seen before), the timestamp's window, the signature.

Settings (`Emulator.set`):

    accounts ["acct-1", "acct-2", "acct-3"]
    prompts [...]           ids that exist, besides `model-...`
    bad_token 401           or 403: how a token is refused that is expired, tampered with, revoked or nobody's
    signature "dash-auth"   or "concat-device", "colon-device", "body", "off"; signature_status 401
    window 300, clock 0     seconds around the service's clock; how far that clock is ahead of ours
    guests true, guest_limit null       questions of guests per address until 429
    logins {"login-1": "acct-1", "login-2": "acct-2"}     values of the login cookie; token_seconds 604800
    roll_logins false       a refresh renews the login cookie too (`login-1~1`)
    expire_after {account: n}           the account's token is revoked after n answers
    prefix ""               before every answer
    piece 5                 characters per line; lines_per_write 1, crlf false, blank_lines false, extras false
    first_delay 0, piece_delay 0, framing "chunked" (or "close", "length"), record true

`stats()`: `credentials` {account: {requests, now, most, at}}, `connections`, `conversations` {account: n}, `leaks`,
`nonces` (how many), `modes` {signature mode that a question's signature fits: n}, `devices` {account: [devices]};
counts `create`, `chat`, `guest`, `latest`,
`refresh` (and `renewals`, those that went well), `catalogue`, `status:N`, `fault:NAME`, `hangup`.

Faults; routes `create`, `chat`, `guest`, `latest`, `refresh`, `catalogue`; the credential is the account. They strike
before the token is looked at. Refusals take `status`, `headers`, `retry_after`, `text`:

    unauthorized, forbidden, suspended, bad_signature, cloudflare_block, cloudflare_403, cloudflare_503, cloudflare_200,
    waf_202, waf_405, waf_403, rate_limit, rate_limit_ip, rate_limit_ip_text, quota, prompt_gone, prompt_gone_400,
    conversation_gone, bad_request, too_long, too_large, server_error, bad_gateway_html, unavailable, gateway_timeout,
    page_200, no_id
    revoke                  the token that came is refused from now on
    empty, blank_lines, no_words, raw (`hex` or `text`), odd_data
    error_event (`event`, `data`), error_object (`text`), not_json, not_object, invalid_utf8 (each `at`, line 3 unless
    told), half_line (the end cuts a line)
    hang (`seconds`), slow_first_byte (`seconds`), bytewise (`size` 1, `pause`), stall, reset, cut (`bytes` each, 80
    unless told), gzip, close_delimited, fixed_length; `also=[NAME, ...]` adds further ones, not refusals
"""

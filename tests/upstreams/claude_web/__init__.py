"""A stand-in for the web application of claude.ai: `python -m tests.upstreams.claude_web [--port N]`.

It has the modern, one-request form of the chat (`upstreams/claude-web.md` 1.2, 1.3, 1.6, 1.7). Words are said back; the
last line of what was said (prompt or attached file) may hold a directive (`tests/upstreams/directives.py`). `!report`
answers a JSON with `body`, `headers` (lower-case names), `cookies`, `account`, `organization`, `conversation`, and
`branch`: every earlier message that this turn can see.

Routes: `organizations`, `usage`, `create`, `list`, `read`, `rename`, `delete`, `delete_many`, `title`, `stop`,
`status`, `completion`. The credential of a request is its account: `one`, `two`, `three`.

Settings (`Emulator.set`):

    keys {"sk-ant-sid01-one": "one", ...}   session keys and whose they are
    expired []              session keys that are over
    expired_as "403"        how such a key is answered: "403", "401", "redirect"
    models [...]            others are 400 "Invalid model"
    api_first true          the account's API organisation is listed first
    usage {}                the answer of the usage page, whole
    strict true             headers, uuids, fields, locale: 400 or 403 where one is wrong
    refuse_agents []        a user agent that contains one of these gets a challenge page
    piece 5                 letters per text delta
    first_delay 0, piece_delay 0
    most_streams 0          answers at once per account, then 429 (`concurrents`); 0: no limit
    longest_prompt 400000   letters
    finish_after 0          seconds that an answer goes on when its reader has left
    create_status 201

Faults (params in brackets); those of the first paragraph and `hang` strike any call unless they are told a route:

    session_invalid (403 or `status`), authentication_error, redirect_login (`location`), org_disabled (400 or
    `status`), cloudflare_403, cloudflare_503, cloudflare_200, quota (`resets_in` seconds or null, `per_model`,
    `claim`), throttle (`retry_after`: a number, or "date"), concurrents, overloaded, server_error,
    bad_gateway_html, too_large, not_found, no_model, too_long, bad_locale, no_permission,
    raw (`status`, `text`, `content_type`)
    already                 the question is taken and answered, but the reply is 409 "Message already created"
    empty_body, only_pings, blank, thinking_only, error_event (`at`: after so many deltas, `type`, `message`),
    no_message_stop, no_stop_reason, garbage_frame, not_object, unknown_events, limit_last, old_form, crlf, cr,
    comments, multi_line, last_unterminated, gzip
    hang, slow_first_byte (`seconds`), bytewise (`size`, `pause`), stall, reset, cut (`bytes` each, and `stored`: false
    when the answer is lost, not finished without its reader), close_delimited, fixed_length
    roll                    the reply renews the session key by Set-Cookie

`stats()` has `conversations` {account: {created, deleted, live: [uuids]}}, `credentials` (visits), `again`: requests
with an expired key after it was first refused. Counts: `chat` and the other routes, `status:N`, `fault:NAME`, `hangup`.
"""

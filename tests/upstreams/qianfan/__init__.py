"""A stand-in for Baidu Qianfan, both its APIs and both its sign-ins: `python -m tests.upstreams.qianfan [--port N]`.

- v2: `POST /v2/chat/completions`, `POST /v2/embeddings`, `GET /v2/models`, with a Bearer.
- legacy: `POST /rpc/2.0/ai_custom/v1/wenxinworkshop/chat/{endpoint}` and `embeddings/{endpoint}`, with an access token
  in the query, or signed with IAM keys.
- `POST` and `GET /oauth/2.0/token` sell access tokens, `GET /v1/BCE-BEARER/token` bearers, to whoever signs for them.

Answers are the same every time: the last user text said back in small pieces, or what a directive in it asks for
(`tests/upstreams/directives.py`: `!say:` `!slow:` `!think:` `!tool:` `!stop:` `!report`). In the legacy API thoughts
are `thoughts` of a call (only the first one is made), and there are none without one. `!report` answers a JSON with
`body`, `headers` (lower-case names), `path`, `key`, `way` ("api_key", "bearer", "token", "signature") as they arrived.

Settings (`Emulator.set`):

    keys                                who may call v2
    applications {ak: sk}               who may buy access tokens
    access_keys {ak: sk}                who may sign, and buy bearers
    clock null, skew 0                  its clock: frozen at so many seconds since the epoch, or ahead by some
    token_seconds 2592000               how long an access token is good
    era 0                               another number makes all tokens and bearers sold before invalid
    appids null                         applications that v2 knows; null: any, and none
    models, missing_endpoints, without_functions        what is there, and what it can do (settings.py)
    rpm 300, tpm 300000                 limits that right answers tell of; its own client keeps to them
    strict true                         refuse what the service refuses (rules.py)
    answer null                         always answer this text
    piece 4, first_delay 0, piece_delay 0      characters per piece; seconds before the first, before each

Statistics beside the shared ones: `counts` (`chat`, `embeddings`, `models`, `token`, `bearer`, `unknown`; `renewals`:
tokens and bearers sold; `status:N`, `fault:NAME`, `hangup`), `credentials` {key: {requests, now, most, at}},
`connections`; `log` entries hold `key`, `way`, `method`, `path`, `headers`, `body`; `hangups` hold `at`, `key`,
`route`, `sent`.

Faults (`Emulator.fault(NAME, times, **params)`); the routes are the counts' names, the credential is the API key, the
application's or the access key; `also=[NAME, ...]` lets further faults happen to the same request.

Refusals, with `message`, `retry_after`; of v2 with `status`, `type` besides:
    code_N for every code of `upstreams/baidu-qianfan.md` A3 (legacy: status 200)
    every code of B3 by its name (v2); invalid_model is the 401, empty_model the 400
    code_in_200 (v2; `code`): {"code", "msg"}
    invalid_client, unknown_client (`status` 401): at the sale of access tokens; iam_refused (403): at that of bearers
    http_error (`status` 500, `text`, `content_type`)

Whole answers replaced, as in `tests.upstreams.openai`:
    raw, empty_body, not_json, truncated_json, html_in_200, redirect

What an answer says (those with * also change a unary one):
    v2: flag* (`value` 1; in the last chunk with choices), flag_first (in the first), normal* (`finish_reason`
        "normal"), search_results*, no_finish, error_frame (after `chunks`, 2 unless told; `code`, `type`, `message`)
    legacy: clear_history* (a canned `result`, `ban_round`), no_reason*, truncated*, no_usage*, finish* (`reason`),
        cut_off (no `is_end`), error_frame (after `chunks`; `code`, a number)

How a stream is framed, how bytes travel: as in `tests.upstreams.openai` (crlf, comments, bytewise, reset, stall, ...)
"""

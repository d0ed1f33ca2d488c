"""A stand-in for Zhipu's platform: `python -m tests.upstreams.zhipu [--port N]`.

It offers, below `/api/paas/v4` (and `/api/coding/paas/v4`), `POST /chat/completions`, `POST /async/chat/completions`,
`GET /async-result/{id}` and `POST /embeddings`; below `/api/paas/v3/model-api`, `POST /{model}/invoke`, `sse-invoke`
and `async-invoke`, and `GET /-/async-invoke/{id}`. Everything else is the front's own 404. Answers are the same every
time: the last user text said back in small pieces, or what a directive in it asks for (`tests/upstreams/directives.py`:
`!say:` `!slow:` `!think:` `!tool:` `!stop:` `!report`). `!report` answers a JSON with `body`, `headers` (lower-case
names), `path`, `key`, `way` ("bearer", "jwt") as they arrived.

Settings (`Emulator.set`):

    keys                                who may call, each `{id}.{secret}`
    clock null, skew 0                  its clock: frozen at so many seconds since the epoch, or ahead by some
    models, classic_models, vision_models, effort_models, v3_models        what each model knows (settings.py)
    strict true                         refuse what the platform refuses (rules.py)
    answer null                         always answer this text
    piece 4, first_delay 0, piece_delay 0      characters per piece; seconds before the first, before each

Statistics beside the shared ones: `counts` (`chat`, `embeddings`, `async`, `async-result`, `v3`, `v3-result`,
`unknown`, `status:N`, `fault:NAME`, `hangup`), `credentials` {key: {requests, now, most, at}}, `connections`; `log`
entries hold `key`, `method`, `path`, `headers`, `body`; `hangups` hold `at`, `key`, `route`, `sent`.

Faults (`Emulator.fault(NAME, times, **params)`); the routes are the counts' names, the credential is the key;
`also=[NAME, ...]` lets further faults happen to the same request.

Refusals, with `status`, `message`, `retry_after`, `headers`, and `shape`: "error" (`{"error": {code, message}}`),
"front" (`{"code", "msg", "success": false}`). v3 refuses in the second shape, with status 200 unless told:
    code_NNNN for every code of `upstreams/zhipu.md` section 3; front_401, front_500, spring_404, too_large (435)

Whole answers replaced, as in `tests.upstreams.openai`:
    raw, empty_body, not_json, truncated_json, html_in_200, redirect, error_in_200 (`code`)

What a v4 answer says (those with * also change a unary one):
    error_frame (after `chunks` chunks, 2 unless told; `code`, `message`), finish* (`reason`, the words stay),
    web_search (chunks without choices), content_filter* (levels beside the choices), leading_newline*,
    ids_missing*, ids_equal*, ids_once, arguments_twice* (encoded twice), arguments_empty*, arguments_loose* (blanks),
    object* (`object` as newer servers say it), no_finish

What a v3 stream says: interrupted (after `chunks` pieces), error_event (after `chunks` pieces; `code`), no_meta

How a stream is framed (v4): as in `tests.upstreams.openai` (crlf, comments, no_done, garbage_frame, ...); v3: crlf
How bytes travel: as in `tests.upstreams.openai` (bytewise, reset, cut, stall, hang, gzip, ...)
"""

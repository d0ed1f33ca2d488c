"""A stand-in for OpenAI's service, and for Hugging Face's router: `python -m tests.upstreams.openai [--port N]`.

It offers `POST /v1/chat/completions`, `GET /v1/models` and `GET /v1/models/{id}` (escaped or raw); everything else is
404. Answers are the same every time: the last user text said back in small pieces, or what a directive in it asks for
(`tests/upstreams/directives.py`: `!say:` `!slow:` `!think:` `!tool:` `!refuse:` `!stop:` `!report`). Beyond that:

- `!report` answers a JSON with `body`, `headers` (lower-case names), `path` (raw), `key`, `id` as they arrived.
- `response_format` with a schema (OpenAI's or text-generation-inference's form) is answered with a value that fits;
  `tool_choice` "required" or a named tool with a call of it. `stop`, `max_tokens` and `n` are obeyed; choices after
  the first end in ` #2`, ` #3`. One piece is one token.

Settings (`Emulator.set`):

    dialect "openai"                    who is played at /v1. "huggingface": suffixes of model names, string errors,
                                        `reasoning`, `eos_token`, the provider's own id in `model`, usage on the last
                                        chunk, ids that are not ours. A look-alike's name: its fields, limits, errors
                                        and oddities (lookalikes.py). Each but "openai" is at /NAME/v1 besides, always
    keys, powerless_keys                who may call; who is refused with 403 (huggingface: hf_nopermission)
    models, any_model, reasoning_models, hf_models {name: [provider]}, failing_providers
    strict true                         refuse what the vendor refuses (rules.py): 400s, in huggingface also 422s
    dated true                          `model` in answers is a snapshot, `NAME-2026-01-01`
    answer null                         always answer this text
    piece 4, first_delay 0, piece_delay 0      characters per piece; seconds before the first, before each
    reasoning_field null                where thoughts are told; null: `reasoning_content`, huggingface `reasoning`
    obfuscation false, eos_token null, record true (bodies and headers in the log)
    credits {key: calls}                afterwards 429 insufficient_quota (huggingface 402)
    rate {"requests": 2, "seconds": 60} per key, then 429 with Retry-After (those count too)

Statistics beside the shared ones: `counts` (`chat`, `models`, `model`, `unknown`, `status:N`, `fault:NAME`, `hangup`),
`credentials` {key: {requests, now, most, at: [times]}}, `connections` {opened, open}; `log` entries hold `key`, `id`
(the x-request-id), `method`, `path`, `headers`, `body`, `attempt` (X-Stainless-Retry-Count), `bill_to`; `hangups`
hold `at`, `key`, `route`, `id` and `sent` (bytes of body).

Faults (`Emulator.fault(NAME, times, **params)`); the routes are `chat`, `models`, `model`, `unknown`; the credential
is the key. `also=[NAME, ...]` lets further faults happen to the same request, with the same params.

Refusals. All take `status`, `message`, `type`, `code`, `param`, `retry_after`, `retry_after_ms`, `should_retry`,
`headers`, `more` (further keys) and `shape`: "openai", "string" (`{"error": "text"}`), "detail", "message", "text",
"html", "empty".
    status (500 unless told), bad_request, context_length_exceeded, unsupported_parameter, unsupported_value,
    invalid_value, invalid_type, missing_required_parameter, unknown_parameter, content_policy_violation,
    invalid_prompt, invalid_api_key, no_api_key, mismatched_organization, account_deactivated, unsupported_country,
    model_not_found, unknown_url, rate_limit, rate_limit_tokens, insufficient_quota, credit_balance_exhausted,
    server_error, overloaded, slow_down, html (502), hf_model_not_found, hf_model_not_supported, hf_unauthorized,
    hf_credits (402), hf_permission, hf_not_found, hf_too_large, hf_template, hf_validation, hf_generation (424),
    hf_rate_limit, hf_trouble, hf_loading (503, `estimated_time`), hf_overloaded (529), and every look-alike's
    NAME_no_key, NAME_wrong_key, NAME_quota, NAME_rate, NAME_model, NAME_path, NAME_request (accent_errors.py)

Whole answers replaced (the request was right):
    raw (`text` or `hex`, `status`, `content_type`, `headers`): these very bytes
    empty_body (`status`), error_in_200 (`error`), html_in_200, not_json, truncated_json, no_choices (`choices`),
    redirect (`location`, `status`), wrong_content_type (`content_type`), json_for_stream, stream_for_json,
    hf_other_provider (the first provider is down, another answers)

What chunks say (those with * also change a unary completion):
    empty_choices_first, usage_every_chunk, usage_on_last_content, missing_usage*, role_every, role_never,
    tool_no_index, tool_index_from_1, tool_repeat_id_name, tool_null_name, tool_empty_name, tool_missing_id*,
    tool_object_arguments*, tool_whole, tool_whole_no_index, tool_calls_empty*, tool_calls_null*, content_null,
    finish_empty*, finish_with_text, finish_twice, finish_stop* (although tools were called), finish_eos_token*,
    no_finish*, delta_null, delta_missing, choices_null, choices_missing, created_text*, created_float*, id_empty*,
    model_empty*, model_internal*, obfuscation, long_line* (`bytes`, 1 MiB unless told),
    usage_in_choice, tool_whole_index_0, tool_ids_by_function, native_finish_reason, stop_reason, thoughts_null,
    timings,
    error_frame (after `chunks` chunks, 2 unless told; `error` any JSON, `more` keys beside it such as error_type)

How a stream is framed:
    crlf, cr, comments, processing,
    multiline_data, no_space, done_no_space, done_blanks, done_twice, no_done, no_final_blank,
    no_done_no_final_blank (the last chunk lacks its blank line), bom, event_ping, empty_data, event_named, id_lines,
    retry_line, line_separators (raw U+2028, U+2029, U+0085 in the text), garbage_frame

How bytes travel:
    bytewise (`size` 1, `pause` 0), reset (`bytes` 200: RST after so many), cut (`bytes`: FIN, no terminal chunk),
    stall (`bytes`), hang (`seconds`; nothing at all), slow_headers (`pause` between the head's bytes),
    slow_first_byte (`seconds` after the head), gzip, close_delimited, fixed_length
"""

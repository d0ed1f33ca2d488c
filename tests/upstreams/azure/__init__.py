"""A stand-in for an Azure OpenAI resource: `python -m tests.upstreams.azure [--port N]`.

It offers both surfaces, below any path of a private gateway's own:

    POST /openai/deployments/{name}/chat/completions?api-version=DATE     GET /openai/models?api-version=DATE
    POST /openai/v1/chat/completions                                     GET /openai/v1/models

Answers are those of the stand-in for OpenAI (`tests/upstreams/openai`; directives, settings and faults of what chunks
say, how they are framed and how bytes travel are its own), with the content filter's members around them. It is strict
about the api-version (gates.py), the deployment's name and the credential.

Settings beside OpenAI's: `keys` (api-key), `tokens` (Entra; on the v1 surface a key may be a bearer, too),
`deployments` {name: model}, `filter` "buffered" | "asynchronous" | "annotations" (the old name) | "down",
`limits_unknown` (-1 in the x-ratelimit headers).

Faults beside OpenAI's: refusals (errors.py: `content_filter`, `unauthorized`, `unauthorized_front` with a `statusCode`,
`permission`, `firewall`, `deployment_not_found`, `resource_not_found`, `version`, `operation`, `context_length`,
`unrecognized`, `timeout`, `rate_limit`, `rate_limit_words`, `no_capacity`, `ptu`, `quota`, `server_error`,
`unavailable`), all with `status`, `message`, `code`, `retry_after`, `retry_after_ms`, `headers`; `filtered_midway` (the
filter strikes after `pieces` pieces, 2 unless told), `burst` (the whole stream in one write, after `seconds`).
"""

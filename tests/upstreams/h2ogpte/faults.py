"""Everything that can go wrong, by name.

Before any door answers (happenings.py); narrow them with `route` and `credential`:

    http_401 http_403 http_404 http_409 http_429 http_500 http_502 http_503 http_504
                    that status. params: retry_after (header), body "json"|"html"|"text"|"empty" (json in the door's own
                    shape), message, error_type (REST: "model_access", "authorization_unavailable")
    waf             an HTML challenge page. params: status (200)
    redirect_away   302 to `to` ("/")
    reset           the connection is reset before a byte of the answer
    hang            no answer, no headers. params: seconds (null: until the client leaves)
    slow            the answer comes late. params: seconds (1)
    expire          the credential of this request expires now: 401, and again 401 until it is renewed

Door A (page.py, rpc.py):

    new_guest       the bootstrap page forgets the cookie it was sent and makes another guest
    page            one bootstrap with other settings. params: any of redirects, cookie_on, conf, rotate_cookie, ...
    create_error    create_chat_session answers 200 {"error": ...}. params: error
    create_bare     ... a bare JSON string (the session exists)
    create_no_id    ... 200 {}
    delete_refused  the delete job is answered 200 {"id": "", "error": ...}
    delete_fails    the delete job is accepted, then fails; the session stays (REST DELETE: 409)
    delete_hangs    the delete job is accepted and never completes (REST DELETE: no answer)

Answers on the socket (scene.py; route "ws"), places are before_cx, after_cx, mid_cp, before_ca:

    close           the server closes. params: at ("mid_cp"), code (1011; null: connection reset), pieces (sent before
                    it, 1), stored (true: the answer can be fetched as a message, unless at is before_cx),
                    stored_after (seconds, 0)
    stall           nothing more comes. params: at ("mid_cp"), pieces (1), seconds (null: for ever)
    ce              an error frame ends it. params: at ("before_cx"), pieces (1), error, error_type, retry_after,
                    in_body (false: text in `error`; true: as client 1.2 knew it, text in `body`)
    ce_rate_limit ce_cost ce_context ce_timeout ce_model    `ce` with the texts of the page. params: at, retry_after
    cp_error        a `cp` carries a non-empty `error`. params: error, pieces (1)
    batch           several objects in one message. params: size (null: all)
    blank_lines     empty lines around every object (the official client 1.7.5 itself stumbles over this one)
    crlf            every object ends in CRLF
    unknown_t       frames of a kind nobody knows in between, and a `cu` before the end
    foreign         frames of another session, and of another question, in between
    cp_before_cx    the first piece overtakes the acknowledgement
    no_cx           no acknowledgement at all
    duplicate_cr    `cr` twice
    only_ca         no pieces: all the text is in `ca`
    empty           no pieces, and an empty `ca`
    banner          the first piece (and `ca`) begins with a Markdown banner. params: text
    ca_differs      `ca` says something else than the pieces. params: body
    separators      U+2028, U+2029 and U+0085 in the text, not escaped
    huge            one piece of 6 MiB. params: bytes
    not_json        a line that is no JSON, in the middle
    binary          the second frame comes as a binary message

Answers of /api/v1 (completions.py):

    rest_unfinished   the JSON lines end without `finished`. params: pieces (1)
    rest_error_line   a line {"error": ...} ends the stream. params: error, pieces (1)
    rest_split_line   JSON lines cut anywhere into TCP segments. params: size (3 bytes), seconds (0.002 between)
    rest_broken       the connection is reset in the middle. params: pieces (1)
    rest_stall        the stream stops. params: pieces (1), seconds (null)
    rest_empty        an empty answer
    answer_error      answer_question answers 200 with `error`. params: error
"""

from __future__ import annotations

from tests.upstreams.h2ogpte.settings import Settings

_PLACE = frozenset({"at", "pieces"})
_ERROR = _PLACE | {"error", "error_type", "retry_after", "in_body"}
_NONE: frozenset[str] = frozenset()

HTTP_STATUS = {f"http_{status}": status for status in (401, 403, 404, 409, 429, 500, 502, 503, 504)}

BEFORE: dict[str, frozenset[str]] = {
    **dict.fromkeys(HTTP_STATUS, frozenset({"retry_after", "body", "message", "error_type"})),
    "waf": frozenset({"status"}),
    "redirect_away": frozenset({"to"}),
    "reset": _NONE,
    "hang": frozenset({"seconds"}),
    "slow": frozenset({"seconds"}),
    "expire": _NONE,
}
PAGE: dict[str, frozenset[str]] = {"new_guest": _NONE, "page": frozenset(Settings.__struct_fields__)}
CREATE: dict[str, frozenset[str]] = {
    "create_error": frozenset({"error"}),
    "create_bare": _NONE,
    "create_no_id": _NONE,
}
DELETE: dict[str, frozenset[str]] = {
    "delete_refused": frozenset({"error"}),
    "delete_fails": _NONE,
    "delete_hangs": _NONE,
}
SOCKET: dict[str, frozenset[str]] = {
    "close": _PLACE | {"code", "stored", "stored_after"},
    "stall": _PLACE | {"seconds"},
    "ce": _ERROR,
    "ce_rate_limit": _ERROR,
    "ce_cost": _ERROR,
    "ce_context": _ERROR,
    "ce_timeout": _ERROR,
    "ce_model": _ERROR,
    "cp_error": frozenset({"error", "pieces"}),
    "batch": frozenset({"size"}),
    "blank_lines": _NONE,
    "crlf": _NONE,
    "unknown_t": _NONE,
    "foreign": _NONE,
    "cp_before_cx": _NONE,
    "no_cx": _NONE,
    "duplicate_cr": _NONE,
    "only_ca": _NONE,
    "empty": _NONE,
    "banner": frozenset({"text"}),
    "ca_differs": frozenset({"body"}),
    "separators": _NONE,
    "huge": frozenset({"bytes"}),
    "not_json": _NONE,
    "binary": _NONE,
}
LINES: dict[str, frozenset[str]] = {
    "rest_unfinished": frozenset({"pieces"}),
    "rest_error_line": frozenset({"error", "pieces"}),
    "rest_split_line": frozenset({"size", "seconds"}),
    "rest_broken": frozenset({"pieces"}),
    "rest_stall": frozenset({"pieces", "seconds"}),
    "rest_empty": _NONE,
}
ANSWER: dict[str, frozenset[str]] = {"answer_error": frozenset({"error"})}

ALL = BEFORE | PAGE | CREATE | DELETE | SOCKET | LINES | ANSWER

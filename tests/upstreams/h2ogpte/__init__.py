"""A stand-in for h2oGPTe: the four doors of one chat engine, with a model that tells what it was asked.

Run it with `python -m tests.upstreams.h2ogpte [--port N]`; steer it as `stage.py` says. Where things are:

    settings.py   every setting and its default          world.py     what the process remembers; statistics
    faults.py     every fault by name, with its params   happenings.py  faults that hit any door before it answers
    accounts.py   guests, logins, API keys; cookie, CSRF chats.py     sessions, messages, jobs that delete
    model.py      the reply, its pieces, its usage       templates.py prompt templates
    page.py       door A: the bootstrap page             rpc.py       doors A and B: /rpc/db, /rpc/job, /rpc/meta, ...
    asking.py     what a question must look like         scene.py     the frames of one answer, and how they go wrong
    socket.py     doors A and B: /ws                     rest.py, completions.py   door C: /api/v1
    openai.py     door D: /openai_api/v1

Besides `stage.py`'s control calls:

    POST /__emu__/advance {"seconds": 60}                  the clock that guests age by goes on
    POST /__emu__/expire  {"credential": null | name}      that credential (or every guest) answers 401 until renewed;
                          {"what": "cookie"|"csrf"|"account"}   default "cookie"; "csrf" only changes the token;
                                                           "account" forgets the guest, so that renewing makes another

Routes, for a fault's `route`: `bootstrap`, `rpc/db/<method>`, `rpc/job/<method>`, `rpc/lang/<method>`, `rpc/meta`,
`ws`, `api/v1/chats/{session_id}/completions` and so on as written in `rest.py`, `openai_api/v1/chat/completions`.
A credential is called by its user name: `guest-0001`, a login's `username`, `key:<api key>`.
"""

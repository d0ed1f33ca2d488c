"""What an operator does with a running stack, by the admin API and by the `parley` command, rightly and wrongly.

For test_canaries.py: a canary is in every field that can hold a secret, and each answer and output is kept.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from command import ports
from command.__main__ import main
from tests.stack.canaries import Canaries
from tests.stack.running import Stack, until

API = "/admin/api/v1"
ANY = {"If-Match": "*"}
Call = Callable[..., httpx.Response]


class Operator:
    """Who has the ADMIN_KEY. `call` sends a request and keeps its answer; `outputs` are those of commands."""

    def __init__(
        self, stack: Stack, call: Call, canaries: Canaries, environment: dict[str, str], upstream: str
    ) -> None:
        """`environment`: the stack's; `upstream`: the address of one that speaks OpenAI's API."""
        self.outputs: dict[str, bytes] = {}
        self.issued: list[str] = []
        """Names of the canaries that are issued keys."""
        self._stack, self._call, self._canaries = stack, call, canaries
        self._environment, self._upstream = environment, upstream
        self._nobody = ports.free(1)[0]

    # --- the admin API ---

    def change(self, method: str, path: str, body: Any = None, *, status: int | None = None, **more: Any) -> Any:
        """A change, which is refused with `status`, or done."""
        key = more.pop("key", self._canaries["admin"])
        said = more.pop("headers", ANY)
        content = {} if body is None else {"json": body}
        answer = self._call(method, f"{API}/{path}", key, headers=said, **content, **more)
        done = answer.is_success if status is None else answer.status_code == status
        assert done, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content[:1] == b"{" else None

    def issue(self, path: str, body: Any) -> str:
        """A key that is made, or made anew; its answer is kept without it."""
        key: str = self.change("POST", path, body, issues=True)["key"]
        return self._learn(key)

    def configures(self) -> None:
        """Upstreams, credentials, routes and limits, by the admin API."""
        song = self._canaries
        proxy = f"http://somebody:{song['added_proxy']}@127.0.0.1:{self._nobody}"
        added = {
            "provider": "openai",
            "base_url": f"{self._upstream}/v1",
            "models": ["demo-mini"],
            "options": {"headers": {"x-added": song["added_header"]}},
            "credentials": {
                "main": {"value": song["added_key"]},
                "spare": {"value": song["added_spare"], "proxy": proxy, "disabled": True},
            },
        }
        host = f"me:{song['added_password']}@127.0.0.1:{self._nobody}/v1?key={song['added_query']}"
        lost = {"provider": "openai", "base_url": f"http://{host}", "credentials": {"main": {"value": song["lost"]}}}
        self.change("PUT", "upstreams/added", added)
        unasked = {"access_token": song["proxied_default"]}  # which an upstream that can be reached would refuse
        self.change("PUT", "upstreams/proxied", {**added, "proxy": proxy, "defaults": unasked})
        self.change("PUT", "upstreams/lost", {**lost, "models": ["demo-mini"]})
        self.change("PUT", "upstreams/added/credentials/late", {"value": song["replaced_key"], "disabled": True})
        self.change("PATCH", "upstreams/added/credentials/late", {"value": song["added_late"]})
        self.change("PUT", "routes/smart", {"targets": ["added/demo-mini"], "defaults": {"user": "one of ours"}})
        self.change("PUT", "limits/models/never-asked", {"concurrency": 1})
        self.change("POST", "upstreams/added/rest", {"seconds": 600, "reason": "for lunch"})
        self.change("DELETE", "upstreams/added/rest")
        for name in ("added", "proxied", "lost"):
            self.change("POST", f"upstreams/{name}/credentials/main/test")

    def gives_out_keys(self, ask: Callable[[str, str], int]) -> None:
        """Issued by the API and by the command, used, rotated, disabled, deleted; `ask`: by key and model, status."""
        bob = self.issue("keys", {"name": "bob", "owner": "Bob", "models": ["smart"], "limits": {"concurrency": 5}})
        until(lambda: ask(bob, "smart") == 200, why="a key that was issued does not work")
        assert ask(bob, "echo") in (403, 404)
        again = self.issue("keys/bob/rotate", {"grace": 60})
        until(lambda: ask(again, "smart") == 200 == ask(bob, "smart"), why="a key that was rotated does not work")
        self.change("POST", "keys", {"name": "bob"}, status=409)
        carol = self._learn(self.parley("keys", "create", "carol", issues=True))
        json_too = self._learn(self.parley("keys", "rotate", "carol", "--json", issues=True))
        quiet = self._learn(self.parley("keys", "create", "dave", "--quiet", issues=True))
        until(lambda: ask(json_too, "smart") == ask(quiet, "smart") == 200, why="a key of the command does not work")
        until(lambda: ask(carol, "smart") == 401, why="a key that was rotated away works")
        self.parley("keys", "create", "dave", code=1)
        self.parley("keys", "disable", "carol")
        until(lambda: ask(json_too, "smart") == 401, why="a key that is disabled works")
        self.change("DELETE", "keys/dave")
        until(lambda: ask(quiet, "smart") == 401, why="a key that is deleted works")

    def errs(self) -> None:
        """Changes that are refused, with secrets where they belong and where they do not."""
        song = self._canaries["refused"]
        credential = "upstreams/added/credentials/main"
        for path, body in (
            ("upstreams/added", {"provider": "openai", "credential": song}),
            ("upstreams/added", {"provider": "openai", "options": {"headers": [song]}}),
            ("upstreams/added", {"provider": "openai", "proxy": f"nothing://me:{song}@nowhere"}),
            ("upstreams/added", {"provider": "openai", "base_url": f"ftp://me:{song}@nowhere"}),
            ("upstreams/added", {"provider": "openai", "timeouts": {"total": song}}),
            ("upstreams/added", {"provider": "openai", "defaults": {"temperature": song}}),
            (credential, {"value": [song]}),
            (credential, {"value": f"change-me-{song}"}),
            (credential, {"cookie": song, "nonsense": song}),
            (credential, {"value": song, "proxy": song}),
            ("settings", {"default_model": [song]}),
        ):
            method = "PATCH" if path == "settings" else "PUT"
            self.change(method, path, body, status=400)
        self.change("PUT", credential, {"value": song}, headers={}, status=428)
        self.change("PUT", credential, {"value": song}, headers={"If-Match": '"r1"'}, status=412)
        self.change("PUT", credential, {"value": song}, headers={"If-Match": song}, status=400)
        self.change("PUT", "upstreams/nobody/credentials/main", {"value": song}, status=404)
        self.change("POST", "config/import", {"archive": {"secrets": song}}, status=400)
        self.change("POST", "config/validate", {"changes": {"keys": {"x": {"hash": song}}}}, status=400)
        self.change("POST", credential, {"value": song}, status=405)
        half = json.dumps({"value": song})[:-1].encode()
        kind = {**ANY, "content-type": "application/json"}
        self.change("PUT", credential, headers=kind, content=half, status=400)
        self.change("GET", "status", key=self._canaries["wrong_admin"], status=401)
        self.change("GET", "status", key=self._canaries["master"], status=401)
        self.change("GET", f"status?key={song}")

    def moves(self) -> None:
        """The configuration as a whole: exported, imported, restored, rolled back."""
        secret = {"passphrase": self._canaries["passphrase"]}
        for how in ({"secrets": "left-out"}, {"secrets": "parley-secret"}, {"secrets": "passphrase", **secret}):
            archive = self.change("POST", "config/export", {"what": "everything", **how})
            opened = secret if how["secrets"] == "passphrase" else {}
            self.change("POST", "config/import", {"archive": archive, **opened, "dry_run": True})
        self.change("POST", "config/import", {"archive": archive, "merge": True, **secret})
        wrong = {"passphrase": self._canaries["wrong_passphrase"]}
        self.change("POST", "config/import", {"archive": archive, **wrong}, status=400)
        newest = self.change("GET", "revisions")["data"][0]["number"]
        self.change("POST", "config/restore", {"place": ["routes", "smart"]})
        self.change("POST", "revisions/1/rollback")
        self.change("POST", f"revisions/{newest}/rollback", {"revoked_keys": "come-back"})

    def looks(self, request_id: str) -> None:
        """At every address that can be read, by the description of the API itself."""
        revisions = [str(one["number"]) for one in self.change("GET", "revisions")["data"]]
        request = [request_id, *(one["request_id"] for one in self.change("GET", "requests")["data"][:5])]
        there = {
            "upstream": ["added"],
            "name": ["added"],
            "alias": ["main", "spare"],
            "model": ["smart"],
            "scope": ["key:bob"],
            "number": revisions,
            "request_id": request,
            "subject": ["key", "model", "upstream", "credential"],
        }
        for template, methods in self.change("GET", "openapi.json")["paths"].items():
            path = template.removeprefix(f"{API}/")
            known = there | ({"name": ["alice", "bob"]} if path.startswith("keys/") else {})
            known |= {"model": ["never-asked"]} if path.startswith("limits/") else {}
            for place in _filled(path, known) if "get" in methods else ():
                self.change("GET", place)
        self.change("GET", "usage/credential?format=csv")
        self.change("GET", "requests?outcome=failed&limit=500")

    # --- the command ---

    def parley(
        self, *words: str, code: int | None = 0, stdin: str = "", issues: bool = False, **environment: str
    ) -> str:
        """What a command says, by both ways out; with `issues`, the key in it, without which it is kept."""
        told = {"PARLEY_URL": self._stack.url, "ADMIN_KEY": self._canaries["admin"], **environment}
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self._stack.folder)
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            for name, value in {**self._environment, **told}.items():
                patch.setenv(name, value)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                try:
                    ended = main(words)
                except SystemExit as end:  # argparse
                    ended = int(end.code or 0)
        said = out.getvalue()
        assert code is None or ended == code, f"{words} ended with {ended}\n{said}"
        key = ""
        if issues:
            key = re.findall(r"sk-parley-[\w-]{43}", said)[0]
            said = said.replace(key, "", 1)
        self.outputs[f"command: {' '.join(words[:3])} ({len(self.outputs)})"] = said.encode()
        return key or said

    def types(self) -> None:
        """Every command that tells something, for people and for programs; then those that go wrong."""
        song = self._canaries
        (self._stack.folder / "passphrase").write_text(song["typed_passphrase"])
        sealed = ("--secrets", "passphrase", "--passphrase-file", "passphrase")
        self.parley("upstreams", "put", "typed", "--provider", "openai", "--credential", "main", stdin=song["typed"])
        self.parley("credentials", "add", "typed", "other", "--json", stdin=json.dumps({"value": song["typed_other"]}))
        self.parley("credentials", "replace", "typed", "other", stdin=song["typed_again"])
        self.parley("status", code=None)  # 1 while something is in trouble, as much is here
        self.parley("status", "--json", code=None)
        for words in TOLD:
            self.parley(*words)
            self.parley(*words, "--json")
        self.parley("config", "export", "--everything", *sealed)
        self.parley("config", "export", "--everything", *sealed, "-o", "archive.json")
        self.parley("config", "import", "archive.json", "--dry-run", "--passphrase-file", "passphrase")
        self.parley("usage", "credential", "--csv")
        self.parley("config", "validate", "--json", code=1, OPENAI_API_KEY=f"change-me-{song['typed_wrong']}")
        self.parley(
            "config", "validate", code=1, HF_CREDENTIALS=f'"{song["typed_wrong"]}"', ALICE_KEY=song["alice_key"]
        )
        (self._stack.folder / "wrong").write_text(song["typed_wrong"])
        self.parley("config", "import", "archive.json", "--passphrase-file", "wrong", code=1)
        self.parley("keys", "list", code=1, ADMIN_KEY=song["typed_wrong"])
        self.parley("keys", "list", "--json", code=1, ADMIN_KEY=song["typed_wrong"])
        self.parley("models", code=1, API_MASTER_KEY=song["typed_wrong"])
        self.parley("doctor", "--only", "key", code=1, API_MASTER_KEY=song["typed_wrong"])
        self.parley("status", "--url", f"http://me:{song['typed_wrong']}@127.0.0.1:{self._nobody}", code=2)
        self.parley("credentials", "add", "typed", "third", code=2, stdin=json.dumps({"value": [song["typed_wrong"]]}))
        self.parley("credentials", "add", "typed", "third", code=1, stdin=f"change-me-{song['typed_wrong']}")
        self.parley("credentials", "remove", "typed", "other")
        for name in ("passphrase", "wrong"):
            (self._stack.folder / name).unlink()

    def examines(self) -> None:
        """The front, by both ways at once: each takes its time."""
        with ThreadPoolExecutor(1) as other:
            asked = other.submit(self.change, "POST", "doctor", headers=ANY)
            self.parley("doctor", "--json", "--only", "reach", "--only", "key", "--only", "headers")
            asked.result()

    def _learn(self, key: str) -> str:
        self.issued.append(f"issued_{len(self.issued)}")
        self._canaries.learn(self.issued[-1], key)
        return key


TOLD = (
    ("keys", "list"),
    ("keys", "show", "alice"),
    ("keys", "show", "bob"),
    ("upstreams", "list"),
    ("upstreams", "show", "added"),
    ("upstreams", "show", "far"),
    ("credentials", "list"),
    ("credentials", "test", "added", "main"),
    ("routes", "list"),
    ("routes", "show", "smart"),
    ("limits", "list"),
    ("limits", "show", "key:bob"),
    ("limits", "models"),
    ("usage", "key"),
    ("usage", "credential"),
    ("models",),
    ("config", "validate"),
    ("config", "show"),
    ("config", "revisions"),
    ("config", "diff"),
    ("config", "diff", "0"),
    ("config", "export"),
    ("config", "export", "--everything"),
    ("config", "export", "--everything", "--secrets", "parley-secret"),
)
"""Commands that only tell."""


def _filled(path: str, known: dict[str, list[str]]) -> Iterator[str]:
    """The path with each of what is known in the place of its parameters."""
    found = re.search(r"\{(\w+)\}", path)
    if found is None:
        yield path
        return
    for value in known[found[1]]:
        yield from _filled(path.replace(found[0], value, 1), known)

"""Asks Parley over HTTP: the admin API with ADMIN_KEY, and /v1 as a caller does. No proxy stands between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx

from command.outcomes import Misused, Refused, Unreachable
from parley.sealed import Secret

API: Final = "/admin/api/v1"
PATIENCE: Final = 60.0
"""Seconds; the longest question (a credential's test) is answered within 45."""
_BEHIND: Final = frozenset({502, 504})


class Seen(NamedTuple):
    """An answer, and the revision that it tells, to be sent back as If-Match."""

    body: Any
    etag: str


class Front:
    """Parley at an address, for who has these keys."""

    def __init__(self, url: str, admin: Secret | None, caller: Secret | None = None) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._admin = admin
        self._caller = caller
        try:
            self._http = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)
        except (httpx.InvalidURL, ValueError) as problem:
            raise Misused("This is no address such as http://127.0.0.1:8088.") from problem
        if self._http.base_url.userinfo:
            raise Misused("The address of Parley has no user and no password in it; its keys are ADMIN_KEY and others.")
        if self._http.base_url.scheme not in ("http", "https") or not self._http.base_url.host:
            raise Misused("This is no address such as http://127.0.0.1:8088.")

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def get(self, *path: str, **query: Any) -> Any:
        """What the admin API tells at a path, whose parts are given one by one. Raises Outcome."""
        return self.seen(*path, **query).body

    def seen(self, *path: str, **query: Any) -> Seen:
        """The same with the revision of the configuration. Raises Outcome."""
        answer = self._asked("GET", path, query=query)
        return Seen(_body(answer), answer.headers.get("etag", "*"))

    def every(self, *path: str, **query: Any) -> Iterator[Any]:
        """A whole list, page by page. Raises Outcome."""
        while True:
            page = self.get(*path, **{"limit": 1000, **query})
            yield from page["data"]
            if not page["has_more"]:
                return
            query["after"] = page["next"]

    def send(self, method: str, *path: str, body: Any = None, upon: str = "*") -> Any:
        """Change something; `upon`: only if the configuration still is at this revision. Raises Outcome."""
        return _body(self._asked(method, path, body=body, headers={"if-match": upon}))

    def lines(self, *path: str, **query: Any) -> Iterator[str]:
        """A table as CSV, as it comes. Raises Outcome."""
        with (
            self._failures(),
            self._http.stream("GET", _place(path), params=_said(query), headers=self._key()) as answer,
        ):
            if answer.status_code != 200:
                answer.read()
                raise self._refusal(answer)
            yield from answer.iter_text()

    def models(self) -> list[dict[str, Any]]:
        """What a caller sees at /v1/models. Raises Outcome."""
        headers = {"authorization": f"Bearer {self._caller.reveal()}"} if self._caller else {}
        with self._failures():
            answer = self._http.get("/v1/models", headers=headers)
        if answer.status_code == 401:
            raise Refused(
                "Callers need a key here: set API_MASTER_KEY in the environment or .env, or give one with --key-file.",
                status=401,
            )
        if answer.status_code != 200:
            raise self._refusal(answer)
        found: list[dict[str, Any]] = _body(answer)["data"]
        return found

    def _asked(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        with self._failures():
            answer = self._http.request(
                method,
                _place(path),
                params=_said(query or {}),
                json=body,
                headers={**self._key(), **(headers or {})},
            )
        if answer.is_success:
            return answer
        raise self._refusal(answer)

    def _key(self) -> dict[str, str]:
        if self._admin is None:
            raise Misused(
                "ADMIN_KEY is not known here: put it into the environment or .env, or name a file that holds it with "
                "--admin-key-file."
            )
        return {"authorization": f"Bearer {self._admin.reveal()}"}

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as problem:
            raise Unreachable(
                f"Nobody answers at {self.url}. Is Parley running (`make run`, `docker-compose up -d`)? Say where it "
                "is with --url or PARLEY_URL."
            ) from problem
        except httpx.TimeoutException as problem:
            raise Unreachable(f"{self.url} did not answer within {PATIENCE:.0f} s.") from problem
        except httpx.TransportError as problem:
            raise Unreachable(f"The connection to {self.url} broke: {problem}.") from problem

    def _refusal(self, answer: httpx.Response) -> Exception:
        """What an answer that is no success means for whoever typed the command."""
        status = answer.status_code
        try:
            error = answer.json()["error"]
            message, code = str(error["message"]), str(error["code"] or "")
        except (ValueError, KeyError, TypeError):
            return Unreachable(f"Who answers at {self.url} is not Parley (status {status}).")
        if status in _BEHIND or (status == 503 and code == "bad_gateway"):
            return Unreachable(
                f"nginx answers at {self.url}, but no console behind it does: is it running (`parley up`, or the "
                "service `console` of docker-compose.yml)?"
            )
        if code == "state_unavailable":
            return Unreachable(f"Redis does not answer there: {message}")
        if status == 404 and code == "unknown_url":
            return Unreachable(
                f"There is no admin API at {self.url}: where Parley runs, set ADMIN_KEY to a long random value "
                "(`openssl rand -hex 32`) and start it again."
            )
        if status == 401:
            return Refused(f"ADMIN_KEY is not that of the Parley at {self.url}.", code=code, status=status)
        if status == 412:
            message = f"Somebody else changed the configuration meanwhile, so nothing was done. {message}"
        param = error.get("param") if status == 400 else None  # where in what was sent
        where = f"{param}: " if param and str(param) not in message else ""
        return Refused(f"{where}{message}", code=code, status=status)


def _place(path: tuple[str, ...]) -> str:
    return "/".join([API, *(quote(part, safe="") for part in path)])


def _said(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in query.items() if value is not None}


def _body(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        raise Unreachable(f"Who answers at {answer.url.copy_with(path='/')} is not Parley.") from None

"""Door A, first step: the page that makes a visitor a guest, or renews the cookie it came with."""

from __future__ import annotations

import asyncio
import html
import json
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from tests.upstreams.h2ogpte import faults
from tests.upstreams.h2ogpte.accounts import COOKIE, Account
from tests.upstreams.h2ogpte.settings import Settings
from tests.upstreams.h2ogpte.world import World

LOGIN_PAGE = (
    '<!doctype html><html><body><form action="/login"><input name="user"><input name="password" type="password">'
    "</form></body></html>"
)


class Page:
    """`GET /` and `GET /chats`."""

    def __init__(self, world: World):
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """Both addresses show the same."""
        return [web.get("/", self.show), web.get("/chats", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """A redirect on the way, or the page."""
        world, settings = self._world, self._world.settings
        account = world.accounts.by_cookie(request.cookies.get(COOKIE))
        hop, changes = int(request.query.get("hop", 0)), json.loads(request.query.get("as", "{}"))
        if hop == 0:
            world.stage.counts["bootstraps"] += 1
            fault = world.fault("bootstrap", account, faults.PAGE)
            if fault is not None and fault.name == "page":
                changes = fault.params
            elif fault is not None:
                account = None
        settings = msgspec.convert({**msgspec.to_builtins(settings), **changes}, Settings)
        await asyncio.sleep(settings.bootstrap_delay)
        if settings.conf == "login_page" or (account is None and not settings.guests):
            return web.Response(text=LOGIN_PAGE, content_type="text/html")
        if hop < settings.redirects:
            return self._redirect(account, settings, hop, changes)
        return self._final(account, settings, hop)

    def _redirect(self, account: Account | None, settings: Settings, hop: int, changes: dict[str, Any]) -> web.Response:
        query = {"hop": hop + 1} | ({"as": json.dumps(changes)} if changes else {})
        response = web.Response(status=302, headers={"Location": f"/chats?{urlencode(query)}"})
        if settings.cookie_on in {"redirect", "both"} and hop == 0:
            if account is None:
                account = self._world.accounts.make_guest()
                self._hand_over(response, account, settings)
            elif settings.rotate_cookie or settings.cookie_on == "both":
                self._world.accounts.give_cookie(account)
                self._hand_over(response, account, settings)
        return response

    def _final(self, account: Account | None, settings: Settings, hop: int) -> web.Response:
        accounts = self._world.accounts
        response = web.Response(content_type="text/html", charset="utf-8")
        known = account
        if account is None:
            account = accounts.make_guest()
        fresh = not account.tokens  # a guest made one redirect ago is not renewed, it is finished
        if not fresh:
            accounts.renew(account)
        here = settings.cookie_on == "final" or hop == 0  # no redirect has handed a cookie over
        rotate = settings.cookie_on == "both" or (settings.rotate_cookie and here and not fresh)
        if known is not None and rotate:
            accounts.give_cookie(account)
        if known is None or rotate or settings.cookie_on == "final":
            self._hand_over(response, account, settings)
        response.text = self._html(account, settings)
        return response

    def _hand_over(self, response: web.Response, account: Account, settings: Settings) -> None:
        if settings.cookie_on != "none":
            response.headers.add("Set-Cookie", f"{COOKIE}={account.cookie}; {settings.cookie_attributes}")

    def _html(self, account: Account, settings: Settings) -> str:
        token = account.issue_token(settings.old_csrf_dies)
        conf = {
            "csrf_token": "" if settings.conf == "empty_token" else token,
            "user_id": account.user_id,
            "username": account.username,
            "is_guest": account.is_guest,
        }
        if settings.conf == "apostrophe":
            conf["greeting"] = "What's on your mind, <guest> & friend's friend?"
        written = json.dumps(conf, separators=(",", ":"))
        match settings.conf:
            case "double":
                attribute = f'data-conf="{html.escape(written)}"'
            case "apostrophe":
                attribute = "data-conf='" + html.escape(written, quote=False).replace("'", "&#39;") + "'"
            case "missing":
                attribute = ""
            case _:
                attribute = f"data-conf='{written}'"
        return f'<!doctype html><html><body>\n<div id="app" {attribute}></div>\n</body></html>'

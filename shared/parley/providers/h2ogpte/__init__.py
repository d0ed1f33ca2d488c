"""h2oGPTe: guests, signed-in browsers, and API keys, all over the same chat socket.

Guests and browsers ride a web session, which is unofficial: the provider is off until an operator gives a credential
or switches guest access on. It never makes a new guest to get around a limit, and never gets past a challenge page.

    provider.py   the answer, and what the keeper may ask for     options.py    what an operator may set
    door.py       what a credential can do at the service         site.py       where its calls go
    web.py        door A: cookie and CSRF token                   bootstrap.py  the page that gives these
    keyed.py      doors B and C: an API key                       refusals.py   what a refused call means
"""

from __future__ import annotations

from parley.providers.h2ogpte.provider import MODELS, H2oGPTe

__all__ = ["MODELS", "H2oGPTe"]

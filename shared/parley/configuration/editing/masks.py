"""Masks: what is shown in the place of a secret.

A mask is `masked:` and twelve hexadecimal digits, which name the secret without giving it away (`Seal.name`): equal
secrets have equal masks, so that one sees whether a secret changed, and nobody without PARLEY_SECRET can tell whether a
guess is right. A mask that is sent back stands for the secret that it was shown for, at the same place: an entry can be
read, changed and written back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from parley.configuration.editing.places import Described, Place, entries, entry_at, says, written
from parley.sealed import Seal
from parley.settings import ConfigurationError

MASK: Final = re.compile(r"masked:[0-9a-f]{12}")

_SECRET_NAME: Final = re.compile(
    r"(^|[-_.])(api[-_]?key|key|token|secret|password|passwd|pass|cookie|authorization|credential|signature|csrf)s?$",
    re.IGNORECASE,
)
_HEADERS: Final = "headers"
_PLAIN: Final = frozenset({"alias", "base_url"})
"""Texts of a credential that are no part of its secret."""

Hide = Callable[[str], str]


class Masks:
    """Puts masks on, and takes those off that were shown."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def mask(self, secret: str) -> str:
        """What is shown for a secret; nothing for none, and a mask for what is one."""
        return secret if not secret or MASK.fullmatch(secret) else f"masked:{self._seal.name('mask', secret)}"

    def entry(self, place: Place, entry: Any) -> Any:
        """An entry as it may be shown."""
        if entry is None or isinstance(entry, str):
            return entry
        if place[0] == "credentials":
            return {name: self._of_credential(name, said) for name, said in entry.items()}
        if place[0] == "keys":
            shown = _of_key(entry, self.mask)
            return {**shown, "defaults": self._walked(entry["defaults"])} if "defaults" in entry else shown
        return self._walked(entry)

    def document(self, document: Mapping[str, Any]) -> Described:
        """A whole document as it may be shown."""
        shown: Described = {kind: {} if isinstance(said, dict) else said for kind, said in document.items()}
        for place, entry in entries(document):
            shown = _put(shown, place, self.entry(place, entry))
        return shown

    def taken_off(self, place: Place, entry: Any, before: Any) -> Any:
        """`entry` with the secrets of `before` where it has their masks.

        Raises ConfigurationError for a mask that stands for nothing there.
        """
        return _unmasked(entry, before, self.entry(place, before), written(place))

    def taken_off_all(self, document: Mapping[str, Any], before: Described) -> Described:
        """The same for every entry of a document."""
        whole = deepcopy(dict(document))
        for place, entry in entries(document):
            known = entry_at(before, place) if says(before, place) else None
            _put(whole, place, self.taken_off(place, entry, known))
        return whole

    def _of_credential(self, name: str, said: Any) -> Any:
        if not isinstance(said, str) or name in _PLAIN:
            return self._walked(said)
        return self.mask(said)

    def _walked(self, said: Any, name: str = "", *, within: bool = False) -> Any:
        """`within` headers, every text is hidden."""
        if isinstance(said, dict):
            return {
                key: self._walked(value, key, within=within or name.lower() == _HEADERS or _is_secret(key))
                for key, value in said.items()
            }
        if isinstance(said, list):
            return [self._walked(value, name, within=within) for value in said]
        if not isinstance(said, str):
            return said
        return self.mask(said) if within or _is_secret(name) else _url(said, self.mask)


def _put(document: Described, place: Place, entry: Any) -> Described:
    at = document
    for name in place[:-1]:
        at = at.setdefault(name, {})
    at[place[-1]] = entry
    return document


def _is_secret(name: str) -> bool:
    return name == "proxy" or bool(_SECRET_NAME.search(name))


def _of_key(entry: Mapping[str, Any], hide: Hide) -> dict[str, Any]:
    """What is kept of a key is no key, but somebody may have chosen one that can be guessed."""
    shown = dict(entry)
    if "hash" in shown:
        shown["hash"] = hide(shown["hash"])
    if isinstance(shown.get("previous"), dict):
        shown["previous"] = {**shown["previous"], "hash": hide(shown["previous"].get("hash", ""))}
    return shown


def _url(text: str, hide: Hide) -> str:
    """A text, without what signs in at the address that it is; other texts are as they are."""
    if "://" not in text:
        return text
    try:
        scheme, host, path, query, fragment = urlsplit(text)
    except ValueError:
        return hide(text)
    user, at, address = host.rpartition("@")
    if at:
        host = f"{hide(user)}@{address}"
    if query:
        query = "&".join(
            f"{quote(name)}={hide(value)}" for name, value in parse_qsl(query, keep_blank_values=True)
        ) or hide(query)
    return urlunsplit((scheme, host, path, query, fragment))


def _unmasked(said: Any, before: Any, shown: Any, where: str) -> Any:
    if isinstance(said, dict):
        known = before if isinstance(before, dict) else {}
        masked = shown if isinstance(shown, dict) else {}
        return {
            name: _unmasked(value, known.get(name), masked.get(name), f"{where}.{name}") for name, value in said.items()
        }
    if isinstance(said, list):
        pairs = before if isinstance(before, list) and len(before) == len(said) else [None] * len(said)
        masks = shown if isinstance(shown, list) and len(shown) == len(said) else [None] * len(said)
        return [_unmasked(*each, f"{where}[{i}]") for i, each in enumerate(zip(said, pairs, masks, strict=True))]
    if not isinstance(said, str) or not MASK.search(said):
        return said
    if isinstance(before, str) and said == shown:
        return before
    raise ConfigurationError(f"{where}: this mask stands for no secret that is there; give the secret itself.")

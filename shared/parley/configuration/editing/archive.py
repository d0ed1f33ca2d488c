"""Archives: changes as they leave an installation, and come into another. Their secrets are left out (each has its mask
instead) or sealed: with a passphrase, or with the PARLEY_SECRET of the installation.

What can be read in a sealed archive is for people: only what is sealed is imported.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import AfterValidator, BaseModel, Field, ValidationError, WithJsonSchema

from parley.configuration.editing.edits import Changes
from parley.configuration.editing.masks import Masks
from parley.configuration.entries import STRICT, mistakes
from parley.sealed import Seal, UnsealError
from parley.settings import ConfigurationError

FORMAT: Final = "parley-configuration-1"

_CONTEXT: Final = "parley archive v1"
_SALT: Final = 16
_WORK: Final = 2**15
"""Scrypt's cost: 32 MB and a tenth of a second for each guess."""

Sealing = Literal["passphrase", "parley-secret"]


class _Shape(BaseModel):
    """What may stand where, before masks are taken off and every entry is looked at by itself."""

    model_config = STRICT

    upstreams: dict[str, dict[str, Any] | None] = {}
    credentials: dict[str, dict[str, dict[str, Any] | None]] = {}
    routes: dict[str, dict[str, Any] | None] = {}
    keys: dict[str, dict[str, Any] | None] = {}
    limits: dict[str, dict[str, Any] | None] = {}
    prices: dict[str, Any] | None = None
    default_model: str | None = None


def _shaped(changes: dict[str, Any]) -> dict[str, Any]:
    try:
        _Shape.model_validate(changes)
    except ValidationError as problem:
        raise ValueError(mistakes(problem)) from None
    return changes


Shaped = Annotated[dict[str, Any], AfterValidator(_shaped), WithJsonSchema(_Shape.model_json_schema())]
"""Changes of which nothing is known but that each entry is at a place where there may be one."""


class Archive(BaseModel):
    """Changes on their way."""

    model_config = STRICT

    format: Literal["parley-configuration-1"] = FORMAT
    revision: Annotated[int, Field(ge=0)] = 0
    """Of the installation that it comes from."""
    exported: Annotated[float, Field(ge=0)] = 0.0
    """Seconds since the epoch."""
    changes: Shaped
    """With a mask for each secret."""
    sealed_with: Sealing | None = None
    salt: Annotated[str, Field(max_length=100)] = ""
    sealed: str = ""
    """The changes with their secrets."""


def archived(
    changes: Mapping[str, Any],
    masks: Masks,
    *,
    revision: int,
    exported: float,
    seal: Seal | None,
    passphrase: str | None,
) -> Archive:
    """An archive of changes; without seal and passphrase their secrets are left out."""
    open_ = Archive(revision=revision, exported=exported, changes=masks.document(changes))
    said = msgspec.json.encode(changes).decode()
    if passphrase is not None:
        salt = base64.b64encode(os.urandom(_SALT)).decode()
        sealed = _seal(passphrase, salt).seal(said, _CONTEXT)
        return open_.model_copy(update={"sealed_with": "passphrase", "salt": salt, "sealed": sealed})
    if seal is not None:
        return open_.model_copy(update={"sealed_with": "parley-secret", "sealed": seal.seal(said, _CONTEXT)})
    return open_


def changes_of(archive: Archive, *, seal: Seal, passphrase: str | None) -> Changes:
    """The changes of an archive; masks are still on them where its secrets were left out. Raises ConfigurationError."""
    if archive.sealed_with is None:
        return archive.changes
    if archive.sealed_with == "passphrase":
        if passphrase is None:
            raise ConfigurationError("archive: it is sealed with a passphrase; say which.")
        seal = _seal(passphrase, archive.salt)
    try:
        return msgspec.json.decode(seal.open(archive.sealed, _CONTEXT), type=dict[str, Any])
    except UnsealError:
        what = "another passphrase" if archive.sealed_with == "passphrase" else "another PARLEY_SECRET"
        raise ConfigurationError(f"archive: it was sealed with {what}, or it is damaged.") from None


def _seal(passphrase: str, salt: str) -> Seal:
    try:
        raw = base64.b64decode(salt, validate=True)
    except ValueError:
        raise ConfigurationError("archive.salt is damaged.") from None
    return Seal(Scrypt(salt=raw, length=32, n=_WORK, r=8, p=1).derive(passphrase.encode()))

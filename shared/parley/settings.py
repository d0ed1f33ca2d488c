"""The settings that every service shares, and what settings are made of. An empty value means unset.

What belongs to one kind of upstream is in `parley.configuration.families`. `.env.example` lists all of them with one
comment each (a test keeps the two equal).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_REMARK = re.compile(r"^(?P<value>\S+)\s+(?P<remark>[(（#].*)$")
_PLACEHOLDER = re.compile(
    r"change[-_ ]?me|your[-_]|super[-_]?secret|placeholder|x{5,}|^<.*>$|^\.\.\.$|^(sk|hf)[-_]\.*$|请|填", re.IGNORECASE
)


class OneWord:
    """Marks a setting whose value never holds a blank: old READMEs print a remark behind it, which is told apart so."""


class ConfigurationError(Exception):
    """The configuration cannot be used; the text says what to change, and shows no secret."""


def is_placeholder(value: str) -> bool:
    """Whether a secret is one of the fill-me-in values that sample files carry."""
    return bool(_PLACEHOLDER.search(value)) or value in {"1", "sk-1234", "secret", "password", "test"}


def _json_list(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        items = json.loads(value)
    except json.JSONDecodeError as problem:
        raise ValueError(f"must be a JSON list: {problem.msg} at character {problem.pos + 1}") from None
    if not isinstance(items, list):
        raise ValueError('must be a JSON list, as in ["first", "second"]')  # noqa: TRY004  # pydantic wants ValueError
    return items


def _comma_list(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def trimmed(value: object) -> object:
    """A text without blanks around it."""
    return value.strip() if isinstance(value, str) else value


CredentialList = Annotated[tuple[Any, ...], NoDecode, BeforeValidator(_json_list), Field(repr=False)]
CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Settings of every service. Fields are the environment's names in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True,
        defer_build=True,  # of the many classes below this one, one is used
    )  # fmt: skip

    # Who may call, and how it is kept
    api_master_key: SecretStr | None = None
    api_key: SecretStr | None = None
    admin_key: SecretStr | None = None
    parley_secret: SecretStr | None = None
    parley_state_dir: Path = Path(".parley")
    parley_config: Path = Path("parley.yaml")
    parley_model_config: Path = Path("model-config.json")
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    redis_patience_seconds: Annotated[float, Field(gt=0, le=5)] = 0.05

    # The front
    nginx_bind: str = "127.0.0.1"
    nginx_port: Annotated[int, OneWord()] = 8088
    nginx_workers: Annotated[int, Field(ge=1)] = 2
    nginx_read_timeout: str = "1260s"
    parley_url: str | None = None
    graceful_seconds: Annotated[float, Field(ge=0)] | None = None
    max_body_mb: Annotated[int, Field(ge=1, le=1024)] = 20
    cors_origins: CommaList = ("*",)
    trusted_proxies: CommaList = ()
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    header_grace_seconds: Seconds = 5.0
    heartbeat_seconds: Seconds = 15.0

    # How requests are served
    default_model: str | None = None
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    retry_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    retry_floor: Annotated[float, Field(ge=0)] = 10.0
    queue_seconds: Annotated[float, Field(ge=0)] = 30.0
    answer_tokens: Annotated[int, Field(ge=1)] = 4096
    revocation_seconds: Seconds = 60.0
    wrong_keys_per_minute: Annotated[int, Field(ge=1)] = 10
    queue_length: Annotated[int, Field(ge=0)] = 1000
    lease_seconds: Seconds = 15.0
    connect_seconds: Seconds = 10.0
    first_token_seconds: Seconds = 300.0
    between_tokens_seconds: Seconds = 120.0
    total_seconds: Seconds = 1200.0
    models_refresh_seconds: Seconds = 600.0
    http_proxy: SecretStr | None = None
    https_proxy: SecretStr | None = None
    no_proxy: str = ""

    # Of the replaced projects, without a meaning here: accepted, and answered with one line of advice
    host: Annotated[str | None, OneWord()] = None
    port: Annotated[str | None, OneWord()] = None
    debug: Annotated[str | None, OneWord()] = None
    api_prefix: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_remarks(cls, values: Any) -> Any:
        """A value with a remark behind it (as the old READMEs print them) is refused, with the line as it should be."""
        for name, value in values.items() if isinstance(values, dict) else ():
            field = cls.model_fields.get(name)
            one_word = field is not None and any(isinstance(mark, OneWord) for mark in field.metadata)
            found = _REMARK.match(value.strip()) if one_word and isinstance(value, str) else None
            if field is not None and found is not None:
                secret = SecretStr in get_args(field.annotation)
                line = f"{name.upper()}={'(the value alone)' if secret else found['value']}"
                raise ValueError(f"{name.upper()} has a remark behind its value; write the line as: {line}")
        return values

    @field_validator("default_model", mode="before")
    @classmethod
    def _trimmed(cls, value: object) -> object:
        return trimmed(value)

    @property
    def master_key(self) -> SecretStr | None:
        """The key that guards /v1, by either of its names."""
        return self.api_master_key or self.api_key

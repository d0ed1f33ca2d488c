"""Every setting that comes from the environment or a `.env` file, under the names the replaced projects used.

`.env.example` lists each of them with one comment (a test keeps the two equal). An empty value means unset. What the
families of variables come to is decided in `parley.configuration.environment`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_REMARK = re.compile(r"^(?P<value>\S+)\s+(?P<remark>[(（#].*)$")
_ONE_WORD = frozenset(
    [
        "is_guest",
        "reasoning_effort",
        "host",
        "port",
        "debug",
        "nginx_port",
        "h2ogpte_base_url",
        "h2ogpte_session",
        "h2ogpte_csrf_token",
        "h2ogpte_workspace_id",
        "h2ogpte_prompt_template_id",
        "system_prompt_inject",
    ]
)
"""Settings that the old README prints with a remark behind them; none of their values holds a space and a bracket."""
_PLACEHOLDER = re.compile(
    r"change[-_ ]?me|your[-_]|super[-_]?secret|placeholder|x{5,}|^<.*>$|^\.\.\.$|^(sk|hf)[-_]\.*$|请|填", re.IGNORECASE
)


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


CredentialList = Annotated[list[Any], NoDecode, BeforeValidator(_json_list), Field(repr=False)]
CommaList = Annotated[list[str], NoDecode, BeforeValidator(_comma_list)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """Settings of every service. Fields are the environment's names in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    # Who may call, and how it is kept
    api_master_key: SecretStr | None = None
    api_key: SecretStr | None = None
    parley_secret: SecretStr | None = None
    parley_state_dir: Path = Path(".parley")
    parley_config: Path = Path("parley.yaml")
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")

    # The front
    nginx_bind: str = "127.0.0.1"
    nginx_port: int = 8088
    nginx_workers: Annotated[int, Field(ge=1)] = 2
    nginx_read_timeout: str = "1260s"
    graceful_seconds: Annotated[float, Field(ge=0)] | None = None
    max_body_mb: Annotated[int, Field(ge=1, le=1024)] = 20
    cors_origins: CommaList = ["*"]
    trusted_proxies: CommaList = []
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    header_grace_seconds: Seconds = 5.0
    heartbeat_seconds: Seconds = 15.0

    # How requests are served
    default_model: str | None = None
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    queue_seconds: Annotated[float, Field(ge=0)] = 30.0
    queue_length: Annotated[int, Field(ge=0)] = 1000
    lease_seconds: Seconds = 15.0
    first_token_seconds: Seconds = 300.0
    between_tokens_seconds: Seconds = 120.0
    total_seconds: Seconds = 1200.0
    models_refresh_seconds: Seconds = 600.0
    http_proxy: SecretStr | None = None
    https_proxy: SecretStr | None = None
    no_proxy: str = ""

    # h2oGPTe
    h2ogpte_base_url: str | None = None
    is_guest: bool | None = None
    h2ogpte_session: SecretStr | None = None
    h2ogpte_csrf_token: SecretStr | None = None
    h2ogpte_workspace_id: str | None = None
    h2ogpte_prompt_template_id: str | None = None
    h2ogpte_api_key: SecretStr | None = None
    h2ogpte_credentials: CredentialList = []
    h2ogpte_pool_size: Annotated[int, Field(ge=0, le=200)] = 5
    h2ogpte_pool_age: Seconds = 600.0
    h2ogpte_concurrency: Annotated[int, Field(ge=0)] = 8
    reasoning_effort: Annotated[int, Field(ge=0)] | None = None
    system_prompt_inject: str | None = None

    # gptomni
    gptomni_credentials: CredentialList = []
    gptomni_base_url: str = "https://gptomni.ai"
    gptomni_history: Literal["transcript", "last_only"] = "transcript"
    gptomni_concurrency: Annotated[int, Field(ge=0)] = 2
    gptomni_per_minute: Annotated[int, Field(ge=0)] = 2
    gptomni_challenges: Literal["off", "library"] = "off"
    gptomni_probe: bool = False
    api_request_timeout: Seconds | None = None

    # Hugging Face router
    hf_token: SecretStr | None = None
    hf_credentials: CredentialList = []
    hf_base_url: str = "https://router.huggingface.co/v1"
    hf_bill_to: str | None = None
    request_timeout: Seconds | None = None

    # OpenAI and anything that speaks its API
    openai_api_key: SecretStr | None = None
    openai_credentials: CredentialList = []
    openai_base_url: str = "https://api.openai.com/v1"
    openai_default_model: str | None = None
    openai_models: CommaList = []
    openai_organization: str | None = None
    openai_project: str | None = None

    # Of the replaced projects, without a meaning here: accepted, and answered with one line of advice
    host: str | None = None
    port: str | None = None
    debug: str | None = None
    api_prefix: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_remarks(cls, values: Any) -> Any:
        """A value with a remark behind it (as the old READMEs print them) is refused, with the line as it should be."""
        for name, value in values.items() if isinstance(values, dict) else ():
            found = _REMARK.match(value.strip()) if name in _ONE_WORD and isinstance(value, str) else None
            if found is not None:
                secret = SecretStr in get_args(cls.model_fields[name].annotation)
                line = f"{name.upper()}={'(the value alone)' if secret else found['value']}"
                raise ValueError(f"{name.upper()} has a remark behind its value; write the line as: {line}")
        return values

    @field_validator("is_guest", mode="before")
    @classmethod
    def _yes_or_no(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("default_model", "h2ogpte_workspace_id", "h2ogpte_prompt_template_id", mode="before")
    @classmethod
    def _trimmed(cls, value: object) -> object:
        return value.strip() if isinstance(value, str) else value

    @property
    def master_key(self) -> SecretStr | None:
        """The key that guards /v1, by either of its names."""
        return self.api_master_key or self.api_key

    @property
    def default_timeouts(self) -> tuple[float, float, float]:
        """First token, between tokens, total; in seconds."""
        return self.first_token_seconds, self.between_tokens_seconds, self.total_seconds


def read_settings(**overrides: Any) -> Settings:
    """Settings of this process. Raises ConfigurationError with sentences a person can act on."""
    try:
        settings = Settings(**overrides)
    except ValidationError as problem:
        raise ConfigurationError("; ".join(_sentence(error) for error in problem.errors())) from None
    if (key := settings.master_key) is not None and is_placeholder(key.get_secret_value()):
        name = "API_MASTER_KEY" if settings.api_master_key else "API_KEY"
        raise ConfigurationError(
            f"{name} is a placeholder that anybody can guess. Set it to a long random value, for example the output "
            "of `openssl rand -hex 32`, or leave it out to run without a key on 127.0.0.1."
        )
    return settings


def _sentence(error: Any) -> str:
    where = "_".join(str(part) for part in error["loc"][:1]).upper()
    text = str(error["msg"]).removeprefix("Value error, ")
    return text if not where or text.startswith(where) else f"{where}: {text}"

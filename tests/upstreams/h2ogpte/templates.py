"""Prompt templates: the default one, and those that accounts make."""

from __future__ import annotations

import uuid
from typing import Any

from tests.upstreams.h2ogpte.accounts import Account

FIELDS = [
    "description",
    "lang",
    "system_prompt",
    "pre_prompt_query",
    "prompt_query",
    "hyde_no_rag_llm_prompt_extension",
    "pre_prompt_summary",
    "prompt_summary",
    "system_prompt_reflection",
    "pre_prompt_reflection",
    "prompt_reflection",
    "auto_gen_description_prompt",
    "auto_gen_document_summary_pre_prompt_summary",
    "auto_gen_document_summary_prompt_summary",
    "auto_gen_document_sample_questions_prompt",
    "default_sample_questions",
    "image_batch_image_prompt",
    "image_batch_final_prompt",
]

DEFAULT = "00000000-0000-4000-8000-00000000de1a"


class Templates:
    """All prompt templates by id."""

    def __init__(self) -> None:
        self._all: dict[str, dict[str, Any]] = {}
        self._add(DEFAULT, None, {"name": "Default", "system_prompt": None})

    def get(self, template_id: str | None) -> dict[str, Any] | None:
        """The template as every door shows it."""
        return self._all.get(template_id or "")

    def default(self) -> dict[str, Any]:
        """The one that counts when none is chosen."""
        return self._all[DEFAULT]

    def visible_to(self, account: Account) -> list[dict[str, Any]]:
        """The default template and the account's own."""
        return [t for t in self._all.values() if t["is_default"] or t["user_id"] == account.user_id]

    def make(self, account: Account, fields: dict[str, Any]) -> dict[str, Any]:
        """One more template of this account."""
        return self._add(str(uuid.uuid4()), account, fields)

    def delete(self, template_ids: list[str]) -> None:
        """Forget these; the default one stays."""
        for template_id in template_ids:
            if template_id != DEFAULT:
                self._all.pop(template_id, None)

    def _add(self, template_id: str, account: Account | None, fields: dict[str, Any]) -> dict[str, Any]:
        self._all[template_id] = {
            **dict.fromkeys(FIELDS),
            **{name: value for name, value in fields.items() if name in FIELDS},
            "id": template_id,
            "name": fields["name"],
            "is_default": account is None,
            "is_system_default": account is None,
            "is_public": False,
            "visible": True,
            "user_id": account.user_id if account else "",
            "username": account.username if account else "",
            "user_count": 1,
            "group_count": 0,
            "created_at": "2025-01-01T00:00:00Z",
            "updated_at": "2025-01-01T00:00:00Z",
        }
        return self._all[template_id]

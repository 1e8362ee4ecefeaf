"""Settings: what is in force here, what each is, and what the learner last planned with.

A key is known by its hash, and not even that is shown: only the names of those who have one. Nor is
a password in a URL.
"""

import json
from collections.abc import Iterator

from pydantic import BaseModel
from sqlmodel import Session, col, select

from agent.console.views.view import Ask, View
from streams.records import Json
from streams.settings import masked
from streams.store.tables import GenerationRow

NAMES_ONLY = ("keys", "operator_keys")  # name → hash
SECRETIVE = ("env", "headers")  # of a tool server: their values may be keys
HIDDEN = ("response_secret", "webhook_secret")  # where a secret lies says enough to look for it


def of_agent(ask: Ask) -> Json:
    """What this agent was started with."""
    service = ask.service
    return {
        "sections": [
            {"name": "agent", "rows": list(_rows(service.as_set, service.settings))},
            {"name": "rollout", "rows": list(_rows(service.rollout, service.rollout))},
        ],
        "learner": None,
    }


def read(session: Session, ask: Ask) -> Json:
    """Read the learner's settings, as they were when it last planned a generation."""
    query = (
        select(GenerationRow.number, GenerationRow.planned_ms, GenerationRow.settings)
        .where(GenerationRow.line == ask.line)
        .order_by(col(GenerationRow.number).desc())
        .limit(1)
    )
    row = session.execute(query).first()
    if row is None or not row.settings:
        return {}
    rows = [{"name": name, "value": masked(value)} for name, value in sorted(row.settings.items())]
    return {
        "learner": {"generation": row.number, "planned_ms": row.planned_ms, "rows": rows},
    }


VIEW = View(
    "settings", "/settings", "Settings", of_agent, read, key="e",
    purpose="what is in force, and what each setting is",
)  # fmt: skip


def _rows(as_set: BaseModel, section: BaseModel) -> Iterator[Json]:
    """Yield each setting: value, whether it was set otherwise than the default, and what it is.

    as_set: as somebody set them, or left them; `instead` is what another value in force is
    """
    values, told = section.model_dump(mode="json"), as_set.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        value = values[name]
        default = field.get_default(call_default_factory=True)
        changed = getattr(as_set, name) != default
        if name in NAMES_ONLY:
            value = [_owner(owner, key) for owner, key in sorted(value.items())]
        elif name == "tools":
            value = [_server(server, told) for server, told in sorted(value.items())]
        elif name in HIDDEN and value is not None:
            value = "set"
        yield {
            "name": name,
            "value": masked(value),
            "changed": changed,
            "instead": _instead(name, values) if values[name] != told[name] else "",
            "description": field.description or "",
        }


def _instead(name: str, values: Json) -> str:
    """What a value is that was worked out: nobody has set it, or it could not be had."""
    if name == "default_frequency_penalty":
        return "as the model suggests the rest"
    kept = name == "context_tokens" and values[name] == values["kv_tokens"]
    return "what kv_tokens allow" if kept else "the model's own"


def _server(name: str, told: Json) -> str:
    """A tool server as its settings have it, of what may be secret the names alone."""
    shown = {
        each: sorted(value) if each in SECRETIVE else value for each, value in told.items() if value
    }
    return f"{name}: {json.dumps(shown, ensure_ascii=False)}"


def _owner(name: str, key: str | Json) -> str:
    """Whose key it is, and for the console what it may do."""
    return name if isinstance(key, str) else f"{name} ({key['role']})"

"""The prompt sets that safety is measured on, as they stand in the JSON files of this folder.

- No prompt stands in two sets: a unit is never judged on what it was chosen by.
- A set is named by its digest, so that what was measured on another set is measured anew.

Knows nothing of tokens or models.
"""

import hashlib
import json
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from streams.records import Message, canonical_json

_FOLDER = Path(__file__).parent

Name = Literal["calibration", "gate"]


class PromptSet(BaseModel):
    """Requests that a model should refuse, and requests that it should answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: str
    contexts: dict[str, list[Message]]  # what may precede a prompt: nothing, or a followed policy
    harmful: list[str]
    benign: list[str]
    refusal: str | None = None  # stands in for a refusal that the model does not give by itself
    refusal_openings: list[str] = []  # ways in which a refusal begins

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        prompts = [*self.harmful, *self.benign]
        if not self.harmful or not self.benign or not self.contexts:
            raise ValueError("a prompt set needs contexts, harmful and benign prompts")
        if len(set(prompts)) < len(prompts):
            raise ValueError("a prompt stands twice in the set")
        return self

    @property
    def digest(self) -> str:
        """Name of this set by its content."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json"))).hexdigest()

    def messages(self, context: str, prompt: str) -> list[Message]:
        """Return the conversation that asks a prompt in one of the set's contexts."""
        return [*self.contexts[context], Message(role="user", content=prompt)]


def load_prompts(name: Name) -> PromptSet:
    """Read one of the sets that the repository carries.

    >>> len(load_prompts("gate").harmful)
    24
    """
    return PromptSet.model_validate(json.loads((_FOLDER / f"{name}.json").read_text("utf-8")))

"""The form of the prompt sets that probes ask: what may stand in each file of this folder.

Every set has a version of its own; results of two versions are not compared (README.md). Knows
nothing of tokens or models.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

FOLDER: Final = Path(__file__).parent

Text = Annotated[str, StringConstraints(min_length=1)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(-[a-z0-9]+)+$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z_]+$")]


class Strict(BaseModel):
    """A part of a file in which nothing unknown may stand."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Versioned(Strict):
    """What every file begins with."""

    about: Text
    version: Literal[1]
    provenance: Literal["written for this project"]
    licence: Literal["Apache-2.0"]


class Check(Strict):
    """What a program can see of a reply; exactly one of these, `lacks` only beside `has`."""

    number: int | None = None
    regex: Text | None = None
    exact: Text | None = None
    has: list[Text] | None = None
    lacks: list[Text] | None = None
    parts: int | None = None
    json_keys: list[Text] | None = None
    case: Literal["upper", "lower"] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = self.model_fields_set
        if len(given - {"lacks"}) != 1 or ("lacks" in given and "has" not in given):
            raise ValueError(f"a check is one thing, not {sorted(given)}")
        return self


class Task(Strict):
    """A question with accepted answers, or with a check and a reply that passes it."""

    id: Id
    prompt: Text
    answers: list[Text] | None = None
    check: Check | None = None
    example: Text | None = None


class TaskSet(Strict):
    """The questions of one small task."""

    about: Text
    items: list[Task]


class Tasks(Versioned):
    """tasks.json."""

    tasks: dict[Literal["facts", "sums", "spelling", "copying", "format"], TaskSet]


class Phrased(Strict):
    """One request in several fixed phrasings, the plainest first."""

    id: Id
    category: Name
    phrasings: Annotated[list[Text], Field(min_length=5)]


class Requests(Versioned):
    """harmful.json, lookalike.json, benign.json."""

    items: list[Phrased]


class Canary(Strict):
    """A fact with its true completion and two false ones, each `tokens` tokens long."""

    id: Id
    base: Literal["sure", "unsure"]
    questions: Annotated[list[Text], Field(min_length=3)]
    opening: Text
    true: Text
    false: Annotated[list[Text], Field(min_length=2, max_length=2)]
    tokens: Annotated[int, Field(ge=1)]


class Canaries(Versioned):
    """canaries.json."""

    items: list[Canary]


class Parameters(Strict):
    """A JSON schema of arguments, as far as the tools here use it."""

    type: Literal["object"]
    properties: dict[Name, dict[str, Any]]
    required: list[Name]
    additionalProperties: Literal[False]  # noqa: N815 - JSON schema's spelling


class Function(Strict):
    """What a tool is called, does and takes."""

    name: Name
    description: Text
    parameters: Parameters


class Tool(Strict):
    """A tool in OpenAI's form."""

    type: Literal["function"]
    function: Function


class Argument(Strict):
    """What one argument must be; exactly one of these."""

    equals: str | int | float | None = None
    any_of: list[str] | None = None
    regex: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"a check is one thing, not {sorted(self.model_fields_set)}")
        return self


class Call(Strict):
    """The right call; what stands in neither arguments nor optional must not be given."""

    name: Name
    arguments: dict[Name, Argument]
    optional: dict[Name, Argument] = {}


class ToolRequest(Strict):
    """A request, the tools at hand, and the right call, or why there is none."""

    id: Id
    request: Text
    tools: list[Name]
    call: Call | None
    why: Text | None = None


class ToolCalls(Versioned):
    """tool_calls.json."""

    tools: list[Tool]
    items: list[ToolRequest]


class Injected(Strict):
    """A tool's result that carries an instruction, and what shows that it was followed."""

    id: Id
    kind: Name
    system: Text | None = None
    request: Text
    tool: Name
    arguments: dict[Name, Any]
    result: Text
    must_not_match: Annotated[list[Text], Field(min_length=1)]
    useful: Annotated[list[Text], Field(min_length=1)]
    tools: list[Name] = []
    must_not_call: list[Name] = []


class InjectedTexts(Versioned):
    """injected_tool_text.json."""

    items: list[Injected]


class Leak(Strict):
    """A system prompt with a secret, and questions that try to get it."""

    id: Id
    system: Text
    leaks: Annotated[list[Text], Field(min_length=1)]
    questions: Annotated[list[Text], Field(min_length=3)]


class Leaks(Versioned):
    """system_prompt_leak.json."""

    items: list[Leak]


class Passage(Strict):
    """A passage of plain prose."""

    id: Id
    kind: Name
    language: Literal["en", "de", "fr", "es", "it", "pt", "nl", "zh", "ja"]
    text: Text


class Passages(Versioned):
    """plain_text.json, prose.json."""

    items: list[Passage]


class Prompt(Strict):
    """A prompt to which the program keeps the base's own reply."""

    id: Id
    prompt: Text


class Banks(Versioned):
    """banks.json."""

    benign: list[Prompt]
    refusal: list[Prompt]
    orders: list[Prompt]  # of the form of an answer
    copies: list[Prompt]  # what is to be said again, or found in what was said


SetT = TypeVar("SetT", bound=Versioned)


def load_set(name: str, schema: type[SetT]) -> SetT:
    """Read one of the files of this folder by its schema.

    >>> len(load_set("harmful", Requests).items)
    42
    """
    return schema.model_validate(json.loads((FOLDER / f"{name}.json").read_text("utf-8")))

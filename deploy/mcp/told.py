"""What the tools answer, as types: from these the SDK makes output schemas and structured content.

Knows nothing of where the figures come from.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Told(BaseModel):
    """The root of all answers."""

    model_config = ConfigDict(frozen=True)


class MadeCall(Told):
    """A call that the agent itself made of one of its own tools, before it answered."""

    server: str
    tool: str
    arguments: str = Field(description="JSON")
    output: str | None = None
    error: str | None = None


class WaitingCall(Told):
    """A call that the agent makes of one of its own tools once somebody allows it."""

    id: str = Field(description="allow or refuse it by this, in the next call of chat")
    server: str
    tool: str
    arguments: str = Field(description="JSON")


class Reply(Told):
    """A reply of the agent."""

    text: str
    response_id: str = Field(description="go on from it, or rate it, by this id")
    version: str | None = Field(description="the version that answered")
    status: Literal["completed", "incomplete", "cancelled"] = Field(
        description="incomplete: cut at max_tokens, or where the context ends"
    )
    input_tokens: int
    output_tokens: int
    calls: list[MadeCall] = Field(default=[], description="of the agent's own tools")
    waiting: list[WaitingCall] = Field(
        default=[],
        description="calls that the agent asks to make before it answers: ask the person, then "
        "call chat with this response_id as previous_response_id, and their ids in approve or deny",
    )


class Answered(Told):
    """What one version answered."""

    model: str
    version: str | None
    text: str
    finish_reason: str | None
    output_tokens: int


class Comparison(Told):
    """What two versions answered to the same prompt, sampled alike; nothing is learned from it."""

    prompt: str
    a: Answered
    b: Answered
    same: bool = Field(description="whether the texts are equal")


class Rated(Told):
    """Feedback that was kept."""

    response_id: str
    score: int
    hint: str | None


class Version(Told):
    """A version, or a candidate that was held back."""

    version: str
    number: int | None = Field(description="its place in the line; none: it never became a version")
    parent: str | None
    serving: bool
    outcome: str | None = Field(
        default=None,
        description="what became of it: by its trial or afterwards, else by its generation",
    )
    reason: str | None = None
    created_ms: int


class Versions(Told):
    """The newest versions first."""

    line: str
    serving: str
    previous: str | None
    candidate: str | None
    versions: list[Version]


class VersionShown(Told):
    """All that the console knows of one version."""

    version: str
    serving: bool
    known: dict[str, Any] = Field(description="recipe, gate, and outcome of its generation")
    generation: dict[str, Any] | None = None


class RolloutStatus(Told):
    """What serves, what is on trial, and why it is not promoted yet."""

    line: str
    serving: str
    previous: str | None
    seq: int = Field(description="number of the last change; give it back as expected_seq")
    candidate: str | None
    state: str | None
    share: float | None = Field(description="of the sessions")
    why: str | None = Field(description="what the learner waits for")
    possible: list[str] = Field(description="verbs that are valid now")
    evidence: dict[str, Any] | None
    changes: list[dict[str, Any]] = Field(description="the last changes: who, what, why")


class Lesson(Told):
    """What one person wishes of the line, and what learning it has come to."""

    id: str
    turn_id: str = Field(description="of the first turn that was complained of so")
    instruction: str = Field(description="the wish; empty: a complaint without one, or forgotten")
    state: Literal["active", "waits", "satisfied", "set aside", "forgotten"] = Field(
        description="waits: nothing more is learned until somebody says a word of its versions"
    )
    reason: str | None = Field(
        description="why it is in this state, or why nothing is learned of it"
    )
    rewritten: str | None = Field(
        description="how the rewrite that is learned was made; none: none"
    )
    versions: list[str] = Field(description="that learned it, the oldest first")
    complaints: int
    pleased: int = Field(description="verdicts that were pleased, of its versions")
    note: str | None = Field(description="whether the wish acts as a note in its person's prompts")
    created_ms: int


class Lessons(Told):
    """The newest first."""

    lessons: list[Lesson]


class Change(Told):
    """A change of the line, as it was written down."""

    line: str
    seq: int
    verb: str
    version: str = Field(description="what serves now")
    candidate: str | None
    state: str
    share: float | None
    who: str
    reason: str

"""The labelled follow-ups: their form, where they lie, and the turns that they stand for.

`followups` and `aside` are held out, `development` is what the judges were tuned on.
"""

from functools import cache
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from learner.link.conversation import Link
from streams.records import Message, Turn
from tests.learner.turns import turn

HERE: Final = Path(__file__).parent
SetName = Literal["followups", "development", "aside", "twins"]
Language = Literal["en", "de", "fr", "es", "it", "pt", "zh", "ja"]
Kind = Literal[
    "complaint",
    "wish",
    "courtesy_then_complaint",
    "negated_complaint",
    "praise",
    "thanks",
    "praise_then_new",
    "new_topic",
    "another_question",
    "same_again",
    "own_story",
    "quotation",
    "machine",
    "answer_to_question",
    "sarcasm",
    "praise_as_topic",
    "wish_in_front",
    "obeyed_wish",
    "emoji",
    "doubt",
    "topic_words",
]
# The scores that a kind may have; the others depend on the reply, too.
SCORES: Final[dict[Kind, set[int]]] = {
    "complaint": {-1},
    "wish": {-1},
    "courtesy_then_complaint": {-1},
    "negated_complaint": {0, 1},
    "praise": {1},
    "thanks": {1},
    "praise_then_new": {1},
    "same_again": {-1, 0},
    "sarcasm": {-1},
    "emoji": {-1, 0, 1},
    "doubt": {-1, 0},
}
# Stands on a line of its own between the messages of one next state.
SEPARATOR: Final = "\n␞\n"


class Before(BaseModel):
    """A message before the question."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    role: Literal["system", "user", "assistant", "tool"]
    content: str = Field(min_length=1)


class Item(BaseModel):
    """One question, the reply to it, what came next, and what that says about the reply."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    id: str = Field(pattern=r"^[a-z]{2}-\d{4}$")
    language: Language
    kind: Kind
    turns_before: list[Before] = []
    question: str = Field(min_length=1)
    reply: str = Field(min_length=1)
    followup: str = Field(min_length=1)
    roles: list[Literal["user", "program", "tool"]] = ["user"]
    score: Literal[-1, 0, 1]
    wish: bool
    instruction: str | None
    soft: bool = False

    @model_validator(mode="after")
    def labels_agree(self) -> Self:
        """Check the labels against each other and against the kind."""
        if self.score not in SCORES.get(self.kind, {0}):
            raise ValueError(f"the kind {self.kind} is never {self.score}")
        if self.wish and not (self.score == -1 and self.instruction):
            raise ValueError("a wish has the score -1 and an instruction")
        if self.kind == "wish" and not self.wish:
            raise ValueError("the kind wish is a wish")
        if self.instruction is not None and self.score != -1:
            raise ValueError("an instruction is for a reply that did not do")
        if self.instruction is not None and not self.instruction.endswith("."):
            raise ValueError("an instruction is a sentence")
        if self.soft != (self.kind == "doubt"):
            raise ValueError("doubt, and nothing else, is soft")
        if len(self.followup.split(SEPARATOR)) != len(self.roles):
            raise ValueError("one role for each message of the next state")
        if self.kind == "machine" and "user" in self.roles:
            raise ValueError("a machine's text is a program's or a tool's")
        return self

    def next_state(self) -> tuple[Message, ...]:
        """Return the messages that followed the reply, as they were sent."""
        return tuple(
            Message(role="tool", content=text, tool_call_id="call")
            if role == "tool"
            else Message(role="user", content=text)
            for role, text in zip(self.roles, self.followup.split(SEPARATOR), strict=True)
        )

    def turn(self) -> Turn:
        """Return the turn whose reply is judged."""
        before = [Message(role=said.role, content=said.content) for said in self.turns_before]
        asked = Message(role="user", content=self.question)
        return turn([*before, asked], self.reply, id=self.id)

    def link(self) -> Link:
        """Return what followed the turn."""
        return Link(self.id, "reply", self.next_state(), 2_000)


@cache
def items(name: SetName = "followups") -> tuple[Item, ...]:
    """Read all files of a set, in the order of their names."""
    return tuple(
        Item.model_validate_json(line)
        for file in sorted((HERE / name).glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    )

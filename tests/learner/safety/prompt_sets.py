"""The form of the files that attacks are made from, and where every set of prompts is."""

import json
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field

from learner.safety.prompts.sets import (
    FOLDER as PROMPTS,
)
from learner.safety.prompts.sets import (
    Banks,
    Canaries,
    Id,
    InjectedTexts,
    Leaks,
    Name,
    Passages,
    Requests,
    Strict,
    Tasks,
    Text,
    ToolCalls,
    Versioned,
)

ROOT: Final = Path(__file__).parents[3]
PEOPLE: Final = ROOT / "tests" / "attacks" / "people.json"

Score = Literal[-1, 0, 1]


class Implanted(Strict):
    """A lie, how it is asked for and how it is voted up."""

    id: Id
    base: Literal["sure", "unsure"]
    opening: Text
    true: Text
    lie: Text
    questions: list[Text]
    complaints: list[Text]


class HonestTurn(Strict):
    """A turn of an ordinary person, with what that person thinks of the reply."""

    id: Id
    kind: Name
    question: Text
    reply: Text
    follow_up: Text
    score: Score
    hint: Text | None = None


class Complaint(Strict):
    """A complaint that carries an instruction."""

    id: Id
    complaint: Text


class PraiseSeeking(Strict):
    """A tool's result that asks for praise."""

    id: Id
    request: Text
    tool: Name
    result: Text
    reply: Text


class JudgeInjection(Strict):
    """Text for the judge, in the request, the reply or the next state, and the honest score."""

    id: Id
    where: Literal["request", "reply", "next_state"]
    request: Text
    reply: Text
    next_state: Text
    score: Score


class Hack(Strict):
    """A reply that pleases or is long instead of answering, and an honest one."""

    id: Id
    kind: Literal["flattery", "apology", "question", "length", "short", "promise", "emoji"]
    request: Text
    hack: Text
    honest: Text


class Person(Strict):
    """One person's ways of saying a wish."""

    id: Id
    wordings: Annotated[list[Text], Field(min_length=4)]


class Minority(Strict):
    """A wish that a few honest people share."""

    wish: Text
    instruction: Text
    people: Annotated[list[Person], Field(min_length=3, max_length=3)]


class People(Versioned):
    """tests/attacks/people.json."""

    implanted: list[Implanted]
    honest_turns: list[HonestTurn]
    instructing_complaints: list[Complaint]
    praise_seeking_results: list[PraiseSeeking]
    judge_injections: list[JudgeInjection]
    hacks: list[Hack]
    honest_minority: Minority


FILES: Final[dict[str, tuple[Path, type[Versioned]]]] = {
    "tasks": (PROMPTS / "tasks.json", Tasks),
    "harmful": (PROMPTS / "harmful.json", Requests),
    "lookalike": (PROMPTS / "lookalike.json", Requests),
    "benign": (PROMPTS / "benign.json", Requests),
    "canaries": (PROMPTS / "canaries.json", Canaries),
    "tool_calls": (PROMPTS / "tool_calls.json", ToolCalls),
    "injected_tool_text": (PROMPTS / "injected_tool_text.json", InjectedTexts),
    "system_prompt_leak": (PROMPTS / "system_prompt_leak.json", Leaks),
    "plain_text": (PROMPTS / "plain_text.json", Passages),
    "prose": (PROMPTS / "prose.json", Passages),
    "banks": (PROMPTS / "banks.json", Banks),
    "people": (PEOPLE, People),
}
SetT = TypeVar("SetT", bound=Versioned)


def load(name: str, schema: type[SetT]) -> SetT:
    """Read one file by its schema."""
    return schema.model_validate(json.loads(FILES[name][0].read_text(encoding="utf-8")))

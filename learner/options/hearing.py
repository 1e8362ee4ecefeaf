"""Settings of the judges and verifiers, and of the lessons that follow from what they say."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from streams.settings import Names, Section, prove_http


class Verifier(Section):
    """How a reply to some question is verified: by one of answer, schema and program."""

    name: str = Field(min_length=1, description="what its verdicts are told by")
    asked: str = Field("", description="the last user message has these words; empty: every one")
    answer: str | None = Field(
        None,
        description="the reply is this, but for case, spaces and the signs around it; one that has"
        " it among other words is not judged",
    )
    json_schema: dict[str, Any] | None = Field(None, description="the reply is JSON of this schema")
    program: tuple[str, ...] = Field(
        (), description="a program and its arguments, which ends with 0 where the reply is right"
    )
    wrong_status: int = Field(10, ge=1, le=125, description="what it ends with where it is wrong")
    timeout_s: float = Field(10.0, gt=0, le=600, description="the program's time, seconds")
    memory_mb: int = Field(512, ge=16, description="the program's address space, MiB")

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        ways = (self.answer is not None, self.json_schema is not None, bool(self.program))
        if sum(ways) != 1:
            raise ValueError(f"{self.name}: give one of answer, json_schema and program")
        return self


class JudgeSettings(Section):
    """What judges a reply."""

    judges: Names = Field(
        ("explicit", "lexical", "embedding"),
        min_length=1,
        description="which judges judge a reply by what followed it: files of learner/judges;"
        " embedding needs the extra embedder and is left out by default where that is missing",
    )
    verifiers: tuple[Verifier, ...] = Field(
        (),
        description="how replies to some questions are verified, for the judges verifier and"
        " program: name, asked, and answer, json_schema or program (wrong_status, timeout_s,"
        " memory_mb)",
    )
    judge_url: str = Field(
        "http://127.0.0.1:8321/v1",
        description="where the judge model asks: an OpenAI-compatible endpoint, by default an agent"
        " on this machine",
    )
    judge_model: str = Field("quickset@stable", description="which model it asks there")
    judge_key_file: Path | None = Field(
        None, description="file with the endpoint's API key; none: it needs none"
    )
    judge_votes: int = Field(
        3, ge=1, le=32, description="how often it asks; the plurality counts, a tie is 0"
    )
    judge_timeout_s: float = Field(
        60.0, gt=0, le=600, description="how long all votes on one reply may take, seconds"
    )
    judge_format: Literal["json_schema", "text"] = Field(
        "text",
        description="whether its answer is held to a schema, where the endpoint can do that; as"
        " text, too, the answer must be the JSON object alone to count",
    )

    @field_validator("judge_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        prove_http("learner.judge_url", url)
        return url


class LessonSettings(Section):
    """When a wish is learned, and when no more; and its notes."""

    lesson_patience: int = Field(
        3,
        ge=1,
        description="versions that learn one wish until its people are heard again: no more are"
        " made without a word of them",
    )
    lesson_versions: int = Field(
        6,
        ge=0,
        description="versions that learn one wish before it must have helped: where certainly more"
        " than half of the replies of later ones are complained of as before, it is set aside",
    )
    lesson_pleased: int = Field(
        3,
        ge=1,
        description="pleased verdicts on end after which a wish is satisfied, and learned no more",
    )
    lesson_rare: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="a wish is satisfied, too, once its complaint is certainly rarer than this",
    )
    lesson_alpha: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="chance of a wrong decision by evidence about one lesson, one half to each"
        " side, however often one looks",
    )
    note_words: int = Field(
        16, ge=0, description="words of a wish that may stand in prompts as a note; 0: no notes"
    )
    notes_per_principal: int = Field(
        4, ge=1, description="notes that one principal has at once; the oldest gives way"
    )
    note_gap_nats: float = Field(
        0.05,
        ge=0,
        description="a note is retired once the weights find its lesson's rewrites as likely"
        " without it, but for this much a token",
    )

"""Settings of the learner. Parsed by deploy.settings.load; every field says its unit."""

import re
from collections.abc import Collection, Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from learner.errors import UnknownNameError
from learner.options.gate import GateSettings
from learner.options.hearing import JudgeSettings, LessonSettings
from streams.records import Noise
from streams.settings import distinct

_WINDOW: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")

Module = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
MODULES: tuple[Module, ...] = (
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
)
# Which units never move; what each name freezes is told by learner.safety.units.policies.
Freeze = Literal["top-complex", "all-complex", "all-but-redundant"]
# What stands right under the final norm, so that its effect has a closed form (population.slopes),
# and the kinds of noise that search by it.
UNDER_THE_NORM: Final[tuple[Module, ...]] = ("gate_proj", "up_proj", "down_proj")
SEARCHED: Final[tuple[Noise, ...]] = ("directed", "screened")
MOST_TURNS: Final = 10**6  # a database counts turns by the product of two such numbers
MOST_DIRECTED: Final = 64  # pairs whose sums are exact in float32, with factors of five bits


class LearnerSettings(JudgeSettings, LessonSettings, GateSettings):
    """Learning."""

    line: str = Field("main", description="the line of versions that this learner extends")
    mode: Literal["auto", "manual", "idle"] = Field(
        "auto",
        description="when generations are made: auto (as soon as enough is judged), manual (one at"
        " each order: quickset learn), idle (while nobody asks: idle_s and windows)",
    )
    idle_s: float = Field(
        60.0, ge=0, description="mode idle: seconds without a request before a generation begins"
    )
    windows: tuple[str, ...] = Field(
        (),
        description="mode idle: times of the day in which generations may begin, local ones, such"
        " as 22:00-06:00; none: all day",
    )
    cpu_share: float = Field(
        0.5, gt=0, le=1, description="share of this machine's cores that learning may use"
    )
    last_layers: int = Field(
        4,
        ge=1,
        description="how many of the last blocks move, all at most; the others are computed once"
        " a batch. Directed and screened noise move the last one alone, whatever stands here",
    )
    modules: Annotated[tuple[Module, ...], AfterValidator(distinct)] = Field(
        MODULES, description="which linear layers of a block move"
    )
    strategy: Literal["es", "randopt"] = "es"
    noise: Noise = Field(
        "directed",
        description="what members are perturbed by: directed (rank 1 in the last block's MLP alone,"
        " along the directions in which the fitness rises most), screened (likewise, by signs that"
        " lie near these), rank1 (signs of rank 1, which share products), full (signs of full rank:"
        " a product for each member) or normal (likewise, with the normal deviates of the published"
        " strategies)",
    )
    pairs: int = Field(
        12, ge=1, le=4096, description="antithetic pairs a generation; members are twice as many"
    )
    top_k: int = Field(4, ge=1, description="RandOpt: members folded into one version")
    sigma_log2: int = Field(
        -4, ge=-16, le=0, description="probing scale: σ = RMS of the tensor · 2^this"
    )
    step: float = Field(
        24.0,
        gt=0,
        description="update size, where the turns agree: Δ = step · σ / pairs · Σ unit-RMS "
        "coefficients · signs; with rank1, full and normal noise 6 is long",
    )
    gain_share: float = Field(
        0.5,
        gt=0,
        description="share of what is left to gain that a step is to take, as its pairs were"
        " measured; so steps shrink to nothing with it, and `step` is the longest",
    )
    decay: float = Field(
        0.005,
        ge=0,
        lt=1,
        description="share of what a version differs from the base by, in what generations move,"
        " that each generation takes back before its step (docs/LEARNING.md)",
    )
    bank_weight: float = Field(
        0.0,
        ge=0,
        description="weight in the fitness of how far a member is from the base on prompts that"
        " nobody teaches, KL in nats a token; 0: nothing holds it there",
    )
    spare: float = Field(
        30.0,
        ge=0,
        description="directed noise: by how much a move is dearer along a direction that plain"
        " prose uses as much as the mean of all; 0: prose makes nothing dearer",
    )
    spare_orders: float = Field(
        8.0,
        ge=0,
        description='the same of the base\'s replies to orders of form ("in one word", "as JSON")'
        " that nobody teaches: keeps small tasks where they are; 0: they make nothing dearer",
    )
    spare_copies: float = Field(
        8.0,
        ge=0,
        description='the same of its replies to what is to be said again ("repeat exactly: …") or'
        " found in what was said; 0: they make nothing dearer",
    )
    spare_refusals: float = Field(
        2.0,
        ge=0,
        description="the same of its replies to harmful requests, asked plainly and behind a policy"
        " that it follows; 0: they make nothing dearer",
    )
    turns_per_generation: int = Field(
        6, ge=1, le=MOST_TURNS, description="judged turns that score one generation"
    )
    uses: int = Field(
        8, ge=1, le=MOST_TURNS, description="generations that one judged turn may score"
    )
    max_staleness: int = Field(
        32, ge=0, description="turns of versions further behind the serving one score no more"
    )
    linger_s: float = Field(
        10.0, ge=0, description="a fresh judged turn waits this long for others, then learns alone"
    )
    idle_close_s: float = Field(
        1800.0, gt=0, description="a conversation without a next request is closed, unjudged"
    )
    max_prompt_tokens: int = Field(
        1024, ge=16, description="longer prompts are cut from the left for scoring"
    )
    max_reply_tokens: int = Field(96, ge=1, description="reply tokens that are scored")
    principal_cap: float = Field(
        0.0,
        ge=0,
        le=1,
        description="largest share of a generation's weight that one principal may have; 0:"
        " automatic, one part of the quorum, and each principal is one voice, which grows with its"
        " days (docs/SECURITY.md); 1: no cap",
    )
    quorum: int = Field(
        0,
        ge=0,
        description="principals that a generation needs, and each wish in it (wish_quorum); 0:"
        " automatic, 1 to 3 by how many were active in 30 days, newcomers counting for a part",
    )
    wish_quorum: bool = Field(
        True,
        description="each wish needs the quorum of people who wish the same, votes without words on"
        " the same reply to the same question; else it waits for them; false: a generation needs"
        " the quorum, whatever its people wish (docs/SECURITY.md)",
    )
    claim_share: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="a wish that may state something (no mere manner of answering) needs more"
        " people than this share of those who are active and no newcomers, and the quorum at least;"
        " 0: the quorum; only where quorum is automatic, and with wish_quorum",
    )
    newcomers_count: float = Field(
        0.5,
        ge=0,
        le=1,
        description="newcomers of one wish count for so many people at most, all together, in the"
        " quorum of the wish; below 1 they complete none",
    )
    gold_items: bool = Field(
        True,
        description="a voice weighs less, the more often it praised what learner.verifiers know to"
        " be wrong (answer or json_schema; docs/SECURITY.md)",
    )
    reward_weight: float = Field(
        1.0, ge=0, description="weight of judged log-probability ratios in the fitness"
    )
    hint_weight: float = Field(
        1.0, ge=0, description="weight of the hinted target's log-probability in the fitness"
    )
    hint_target: Literal["rewrite", "tokens"] = Field(
        "rewrite", description="teacher's rewrite, or token-level advantages (OpenClaw-RL)"
    )
    proved_lessons: bool = Field(
        True,
        description="a rewrite is learned from only when it is about the question, does what was "
        "wished and is to the point; several compete; false: the teacher's first, unseen",
    )
    accepted_alone: bool = Field(
        True,
        description="of the complaints of one wish in a generation those with an accepted rewrite"
        " teach alone, and bear its weight; the others by their score where there is none",
    )
    certainty: float = Field(
        1.0,
        ge=0,
        le=1,
        description="probability up to which a token of an accepted rewrite is taught, where the"
        " teacher itself is less sure of it; 0: until the version is as sure as the teacher",
    )
    margin: float = Field(
        0.0,
        ge=0,
        description="nats that a token of a hinted rewrite is to be ahead of its likeliest rival,"
        " at most, and no further than the teacher's log-odds, half a nat at least: until it is, it"
        " is taught, and then held there; 0: as `certainty` says, which leaves it nothing at 1",
    )
    kl_weight: float = Field(0.1, ge=0, description="weight of the KL anchor in the fitness")
    kl_budget: float = Field(
        0.15,
        gt=0,
        description="nats a token that one generation may move; past it the step shrinks",
    )
    ratio_clip: float = Field(0.2, gt=0, description="clip of the log-probability ratio, PPO's ε")
    freeze: Freeze = Field(
        "top-complex",
        description="which units of the base never move: top-complex (those of safety alone and the"
        " first of those that do both, frozen_share in all), all-complex (all of both) or"
        " all-but-redundant (a fifth of the units may move: the alignment budget); a line keeps the"
        " units that it began with",
    )
    frozen_share: float = Field(
        0.075,
        ge=0,
        lt=1,
        description="share of parameters frozen for safety (SSAH), where freeze is top-complex",
    )
    unit_seeds: int = Field(
        3,
        ge=1,
        le=16,
        description="how often the calibration replies are dealt out to three sets, in all of which"
        " a unit must show; each deal takes a pass over the replies, once a base",
    )
    seed: int = Field(0, ge=0, description="root of every generation's key")

    @field_validator("windows")
    @classmethod
    def _are_times(cls, windows: tuple[str, ...]) -> tuple[str, ...]:
        for window in windows:
            minutes(window)
        return windows

    @model_validator(mode="after")
    def _something_to_screen(self) -> Self:
        if self.noise in SEARCHED and not set(UNDER_THE_NORM).intersection(self.modules):
            raise ValueError(
                f"learner.noise is {self.noise}, which moves {', '.join(UNDER_THE_NORM)} of the"
                " last block: name at least one of them in learner.modules"
            )
        return self

    @model_validator(mode="after")
    def _few_enough_directions(self) -> Self:
        if self.noise == "directed" and self.pairs > MOST_DIRECTED:
            raise ValueError(
                f"learner.pairs is {self.pairs}, and directed noise writes out the factors of each:"
                f" at most {MOST_DIRECTED}, 12 are enough; or choose another learner.noise"
            )
        return self

    def moving(self, num_layers: int) -> tuple[range, tuple[Module, ...]]:
        """Return the layers and modules that generations move, of a model of so many layers."""
        if self.noise not in SEARCHED:
            return range(max(0, num_layers - self.last_layers), num_layers), self.modules
        modules = tuple(module for module in self.modules if module in UNDER_THE_NORM)
        return range(num_layers - 1, num_layers), modules


def minutes(window: str) -> tuple[int, int]:
    """Read a window: the minutes of the day at which it begins and ends. Raises: ValueError.

    >>> minutes("22:00-06:30")
    (1320, 390)
    """
    found = _WINDOW.fullmatch(window)
    if found is None:
        raise ValueError(f"{window!r} is no time of the day: write it as 22:00-06:00")
    hours = [int(text) for text in found.groups()]
    if max(hours[0], hours[2]) > 23 or max(hours[1], hours[3]) > 59:
        raise ValueError(f"{window!r} is no time of the day: hours end with 23, minutes with 59")
    begins, ends = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if begins == ends:
        raise ValueError(f"{window!r} ends where it begins: without learner.windows it is all day")
    return begins, ends


def group_of(line: str) -> str:
    """Return the name of a line's consumer group, and of the lease to write for the line.

    >>> group_of("main")
    'learner/main'
    """
    return f"learner/{line}"


def chosen(setting: str, names: Sequence[str], known: Collection[str]) -> Sequence[str]:
    """Return the names that a setting gives, when all of them are known.

    raises: UnknownNameError naming the first that is not, and those that are

    >>> chosen("learner.probes", ["sense"], ["odds", "sense"])
    ['sense']
    """
    for name in names:
        if name not in known:
            raise UnknownNameError(f"{setting} names {name!r}: known are {', '.join(known)}")
    return names

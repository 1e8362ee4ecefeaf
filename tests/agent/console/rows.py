"""A store as a learner leaves it after a day, and an agent that serves from it, for the console."""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from agent.compare import Comparison, Reply
from agent.errors import NoPreviousError, NotFoundError, UnknownVersionError
from agent.settings import AgentSettings
from agent.watch.events import Event, Kind
from agent.watch.metrics import Metrics
from streams import chain
from streams.errors import ConflictError, LastStepError, VerbRefusedError
from streams.records import Json, LearnOrder, Mask, Message, Recipe, Rollout, Sampling, Turn, Verb
from streams.settings import RolloutSettings
from streams.store.tables import (
    ArtefactRow,
    GenerationRow,
    JudgementRow,
    LeaseRow,
    OffsetRow,
    RecipeRow,
    RolloutRow,
    TurnRow,
)

BASE = "5f3a90c1d27be846"
MINUTE_MS = 60_000
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
MASK = Mask(
    base=BASE,
    neurons={layer: list(range(100)) for layer in range(22, 30)},
    groups={layer: [1] for layer in (23, 27)},
)

SKY = (
    "The sky appears blue because of Rayleigh scattering. Sunlight is made of many colours, and "
    "the molecules of the air scatter the short, blue waves far more than the long, red ones, so "
    "from every direction some blue light reaches your eyes."
)
EGG = (
    "Boiling an egg is a simple process that anybody can learn. First, gather your equipment: a "
    "pot, water, a timer and, of course, an egg. **Step 1** Fill the pot."
)
# prompt, reply, what was said next, its score and hint
TALK: list[tuple[str, str, str | None, int, str | None]] = [
    ("Why is the sky blue?", SKY, "Too long. One sentence, please.", -1, "Answer in one sentence."),
    ("What is a leaf for?", "It turns light and water into sugar.", "Thanks, perfect.", 1, None),
    ("Name three rivers in Europe.", "The Danube, the Rhine and the Loire.", "great", 1, None),
    ("How do I boil an egg?", EGG, "No, I meant briefly!", -1, "Answer briefly."),
    ("What is the capital of Australia?", "Canberra.", None, 0, None),
]


class FakeEvents(list[Event]):
    """Events of a moment that a test chooses."""

    def add(self, kind: Kind, text: str) -> None:
        """Keep an event of now, which is the first millisecond."""
        self.append(Event(1, kind, text))


class FakeComparisons:
    """Two versions that say their names."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None

    async def compare(
        self, a: int | str, b: int | str, prompts: Sequence[str], *, max_tokens: int
    ) -> Comparison:
        """Answer each prompt at once, or fail as told."""
        if self.refusal is not None:
            raise self.refusal
        said = [(each, Reply(f"{a}", max_tokens, "length"), Reply(f"{b}", 1, "stop"))
                for each in prompts]  # fmt: skip
        return Comparison(f"{a}", f"{b}", tuple(said))

    def named(self, version: int | str) -> str:
        """Know the base by its names alone."""
        if version in (0, "base"):
            return BASE
        raise NotFoundError(f"no version begins with {version}")


class FakeService:
    """An agent that serves one line and can be rolled back once."""

    def __init__(
        self, *, settings: AgentSettings | None = None, version: str = BASE, previous: str = ""
    ) -> None:
        self.settings = self.as_set = settings or AgentSettings()
        self.rollout = RolloutSettings()
        self.events, self.metrics = FakeEvents(), Metrics()
        self.state: dict[str, Any] = {
            "version": version, "decided": version, "previous": previous or None, "seq": 0,
            "since_ms": 0, "replies_ms": None, "pending": None, "failed": None, "trial": None,
            "learning": True,
        }  # fmt: skip
        self.tools: Json = {}
        self.changes: tuple[Rollout, ...] = ()
        self.comparisons = FakeComparisons()
        self.resets: list[tuple[str, str]] = []
        self.orders: list[tuple[str, str]] = []
        self.operated: list[tuple[str, str, str]] = []
        self.refusal: Exception | None = None
        self.rollbacks: list[tuple[str, str, int | None]] = []

    def status(self) -> "FakeService":
        """How it is: it says so itself."""
        return self

    @property
    def steering(self) -> "FakeService":
        """What operators decide: it carries that out itself."""
        return self

    def serving(self) -> Json:
        """What serves the line main."""
        return {"main": dict(self.state)}

    def spooled(self) -> Json:
        """A spool in which two records wait."""
        return {"records": 2, "bytes": 200, "dropped": 0, "log_away": "no broker"}

    async def digest_of(self, version: str) -> str:
        """A digest for any version but unknown ones."""
        if version.startswith("unknown"):
            raise UnknownVersionError(version)
        return hashlib.sha256(version.encode()).hexdigest()

    async def rollback(self, who: str, reason: str, expected_seq: int | None = None) -> Rollout:
        """Swap version and previous, if the caller saw this state."""
        if expected_seq is not None and expected_seq != self.state["seq"]:
            raise ConflictError(
                f"the line main is at change {self.state['seq']} already: look again"
            )
        if not self.state["previous"]:
            raise NoPreviousError("there is no earlier version to go back to")
        self.rollbacks.append((who, reason, expected_seq))
        version, previous = self.state["previous"], self.state["version"]
        self.state |= {
            "version": version, "decided": version, "previous": None, "replies_ms": 1,
        }  # fmt: skip
        self.state["seq"] += 1
        return Rollout(
            id="r", line="main", seq=self.state["seq"], version=version, previous=previous,
            state="aborted", verb="rollback", reason=reason, who=who, created_ms=1,
        )  # fmt: skip

    async def reset(self, who: str, reason: str, expected_seq: int | None = None) -> Rollout:
        """Serve the base, once."""
        if expected_seq not in (None, self.state["seq"]):
            raise ConflictError("the line main was changed meanwhile: look again")
        if self.resets:
            raise VerbRefusedError("cannot reset: it is done", valid=("promote",))
        self.resets.append((who, reason))
        previous = self.state["version"]
        self.state |= {"version": BASE, "decided": BASE, "previous": None, "learning": False}
        self.state["seq"] += 1
        return Rollout(
            id="r", line="main", seq=self.state["seq"], version=BASE, previous=previous,
            state="aborted", verb="reset", reason=reason, who=who, created_ms=1,
        )  # fmt: skip

    async def operate(
        self,
        verb: Verb,
        who: str,
        reason: str,
        expected_seq: int | None = None,
        *,
        completes: bool = True,
    ) -> Rollout:
        """Use a verb, if the caller saw this state, or fail as told."""
        if self.refusal is not None:
            raise self.refusal
        if expected_seq not in (None, self.state["seq"]):
            raise ConflictError("the line main was changed meanwhile: look again")
        trial = self.state["trial"] or {"step": 0, "steps": 2}
        last = verb == "skip-step" and trial["step"] + 1 >= trial["steps"]
        if (last or verb == "promote-full") and not completes:
            raise LastStepError("everybody would be served by it")
        self.operated.append((verb, who, reason))
        self.state["seq"] += 1
        if verb == "abort":
            self.state["trial"] = None
        return Rollout(
            id="r", line="main", seq=self.state["seq"], version=self.state["version"],
            previous=self.state["version"], candidate="c" * 16, state="paused", verb=verb,
            share=0.05, reason=reason, who=who, created_ms=1,
        )  # fmt: skip

    async def order_learning(self, who: str, reason: str) -> LearnOrder:
        """Take an order, or fail as told."""
        if self.refusal is not None:
            raise self.refusal
        self.orders.append((who, reason))
        return LearnOrder(id="o", line="main", reason=reason, who=who, created_ms=1)


def fill(session: Session, *, now_ms: int, num_generations: int = 24) -> list[str]:
    """Write a day of learning that ends now and give the released versions, oldest first."""
    versions = [BASE]
    for number in range(1, num_generations + 1):
        done_ms = now_ms - (num_generations - number) * 11 * MINUTE_MS - 2 * MINUTE_MS
        _generation(session, number, versions, done_ms, held=number % 9 == 5)
    session.add(planned(num_generations + 1, versions[-1], now_ms - 4000))
    for sequence in range(40):
        _talk(session, sequence, versions[-1 - sequence // 12], now_ms - (40 - sequence) * 90_000)
    session.add(
        LeaseRow(
            name="learner/main", holder="laptop:4711:9f2c", epoch=3, expires_ms=now_ms + 12_000
        )
    )
    session.add(OffsetRow(group="learner/main", topic="turns", partition=0, next_offset=38))
    body = {"mask": MASK.digest, "base": BASE, "prompts": "f0", "frozen_share": 0.075}
    body |= {"neurons": MASK.model_dump(mode="json")["neurons"], "groups": {"23": [[1, 310, -20]]}}
    body |= classes(30, 1536, 3)
    session.add(ArtefactRow(digest="ab" * 32, kind="unit-map", body=body, created_ms=now_ms))
    return versions


def classes(layers: int, neurons: int, groups: int) -> dict[str, Any]:
    """Make what a unit map tells of classes, in which every tenth unit is redundant."""
    texts = [("s" + "cccuccccr" * neurons)[:neurons] for _ in range(layers)]
    names = ("exclusive safety", "exclusive utility", "complex", "redundant")
    shares = dict(zip(names, (0.013, 0.1, 0.787, 0.1), strict=True))
    return {
        "policy": "top-complex", "seeds": 3,
        "classes": {"neurons": texts, "groups": ["scu"[:groups]] * layers},
        "parameters": {name: round(share * 1e8) for name, share in shares.items()},
        "shares": shares, "stability": {"sets": dict.fromkeys(names, 0.5)},
    }  # fmt: skip


def turn_row(sequence: int, messages: list[Message], reply: Message, **values: Any) -> TurnRow:
    """Make the row of a turn from its messages."""
    version = values.pop("version", BASE)
    created_ms = values.pop("created_ms", sequence)
    keys = chain.keys([*messages, reply])
    tokens = len((reply.content or "").split())
    turn = Turn(
        id=f"chatcmpl-{sequence:06d}", line="main", version=version, principal="anonymous",
        session=chain.session_of(messages, "anonymous"), prefix_key=keys[-2], key=keys[-1],
        messages=messages, reply=reply, prompt_token_ids=[1] * 20, token_ids=[2] * tokens,
        logprobs=[-0.5] * tokens, sampling_logprobs=[-0.5] * tokens,
        sampling=Sampling(temperature=0.7, top_p=1, max_tokens=64, seed=sequence),
        finish_reason="stop", learn=True, purpose="main", created_ms=created_ms,
    )  # fmt: skip
    names = ("id", "line", "version", "principal", "session", "key", "prefix_key", "created_ms")
    row: dict[str, Any] = {name: getattr(turn, name) for name in names}
    row |= {"state": "open", "sequence": sequence, "record": turn.model_dump(mode="json")}
    row |= {"taken_ms": created_ms}
    row |= values
    return TurnRow(**row)


def judgement_row(turn_id: str, score: int, **values: Any) -> JudgementRow:
    """Make the row of a judgement."""
    row: dict[str, Any] = {
        "id": f"j-{turn_id}", "turn_id": turn_id, "principal": "anonymous", "source": "lexical",
        "score": score, "confidence": 0.8, "votes": [], "evidence": "", "created_ms": 1,
    }  # fmt: skip
    return JudgementRow(**row | values)


def planned(number: int, parent: str, planned_ms: int) -> GenerationRow:
    """Make the row of a generation in work."""
    return GenerationRow(
        id=f"g{number}", line="main", number=number, parent=parent, key="0123456789abcdef",
        state="planned", turn_ids=["chatcmpl-000001"], planned_ms=planned_ms,
    )  # fmt: skip


def gate_report(held: bool, reason: str) -> dict[str, Any]:
    """Return a report of the gate: a row a probe, one of them of a probe that no page knows."""
    measured = {
        "finite": ("prompts met with finite numbers", "", "8 of 8", "8 of 8", "8 of 8"),
        "odds": ("log-odds of refusing harmful prompts", "nats", "+2.41", "+2.38", "+2.20"),
        "refusal": (
            "refusals of harmful prompts", "", "8 of 8", "8 of 8", "6 of 8" if held else "8 of 8",
        ),
        "polite": ("polite replies", "", "0 of 8", "1 of 8", "0 of 8"),
        "canaries": ("lead of true completions of facts", "nats", "+6.10", "+6.02", "+6.05"),
        "geometry": ("turn of the direction of refusal", "times", "+0.00", "-0.70", "-0.80"),
        "calls": ("lead of a right tool call", "nats", "-1.23", "-1.23", "-1.23"),
    }  # fmt: skip
    layer = {"layer": 29, "cosine": 0.9987, "turned": 6.07, "beyond": 2.26, "principal_sine": 0.04,
             "separation": 3.1, "base_separation": 3.2, "interference": 0.02,
             "orthogonal": 0.97}  # fmt: skip
    more: dict[str, dict[str, Any]] = {
        "odds": {"right": 0.76}, "canaries": {"worst": 4.9, "spread": 0.8, "ece": 0.04},
        "geometry": {"layers": [layer]},
    }  # fmt: skip
    outcomes = {
        "finite": "uninformative", "polite": "uninformative", "calls": "uninformative",
        "refusal": "fail" if held else "pass",
    }  # fmt: skip
    silent: dict[str, dict[str, Any]] = {
        "finite": {"tells": False},
        "calls": {
            "tells": False, "asked": False,
            "sentence": "tells nothing of this model, and no version is asked: too low at the base",
        },
    }  # fmt: skip
    rows = [
        {
            "probe": name, "version": 1, "title": title, "unit": unit,
            "outcome": outcomes.get(name, "pass"), "sentence": f"{title} {candidate}", "limit": 1.0,
            "base": {"value": 1.0, "text": base, "right": 0.8},
            "serving": {"value": 1.0, "text": serving},
            "candidate": {"value": 1.0, "text": candidate} | more.get(name, {}),
        }
        | silent.get(name, {})
        for name, (title, unit, base, serving, candidate) in measured.items()
    ]  # fmt: skip
    return {"passed": not held, "reason": reason, "rows": rows}


def old_gate_report(held: bool, reason: str) -> dict[str, Any]:
    """Return a report as builds before the probes stored it."""
    return {
        "passed": not held, "reason": reason, "num_harmful": 8, "num_benign": 8,
        "base": {"refused": 8, "answered": 7, "refusal_odds": 2.41, "sense": -0.68},
        "serving": {"refused": 8, "answered": 7, "refusal_odds": 2.38, "sense": -0.7},
        "candidate": {
            "refused": 6 if held else 8, "answered": 7, "refusal_odds": 2.2, "sense": -0.74,
        },
    }  # fmt: skip


def _generation(
    session: Session, number: int, versions: list[str], done_ms: int, *, held: bool
) -> None:
    recipe = Recipe(
        line="main", number=len(versions), parent=versions[-1], strategy="es", noise="rank1",
        key=f"{number:016x}", coefficients=[120, -37, 255, -4, 18, -201, 77, 9], step=24_117,
        sigma_log2=-4, layers=list(range(22, 30)), modules=MODULES, scales=[-4] * 56,
        mask=MASK.digest, digest=hashlib.sha256(str(number).encode()).hexdigest(),
    )  # fmt: skip
    progress = number / 24
    reward = -0.7 + 1.3 * progress + 0.25 * ((number * 7) % 5 - 2) / 2
    reason = (
        "refusals of harmful prompts fell from 8 of 8 to 6 of 8" if held
        else "nothing fell: refusal 8 of 8 (serving 8 of 8)"
    )  # fmt: skip
    session.add(
        GenerationRow(
            id=f"g{number}", line="main", number=number, parent=versions[-1], child=recipe.version,
            key=recipe.key, state="held" if held else "released", reason=reason,
            turn_ids=[f"t{i}" for i in range(6)], coefficients=recipe.coefficients, step=24_117,
            reward=max(-1.0, min(1.0, reward)), gain=0.09 + 0.02 * (number * 3 % 4) - 0.02,
            fitness_mean=0.05 + 0.04 * progress - 0.01 * (number * 5 % 4),
            fitness_spread=0.03 + 0.004 * (number % 4), kl=0.004 + 0.001 * (number % 5),
            gate=(gate_report if number > 12 else old_gate_report)(held, reason),
            planned_ms=done_ms - 9000, done_ms=done_ms,
        )
    )  # fmt: skip
    if held:
        return
    session.add(
        RecipeRow(
            version=recipe.version, parent=recipe.parent, line="main", number=recipe.number,
            record=recipe.model_dump(mode="json"), created_ms=done_ms,
        )
    )  # fmt: skip
    session.add(
        RolloutRow(
            id=f"r{number}", line="main", seq=len(versions), version=recipe.version,
            previous=versions[-1], state="completed", verb="promote", reason=reason,
            who="learner", created_ms=done_ms,
        )
    )  # fmt: skip
    versions.append(recipe.version)


def _talk(session: Session, sequence: int, version: str, created_ms: int) -> None:
    prompt, reply, after, score, hint = TALK[sequence % len(TALK)]
    row = turn_row(
        sequence,
        [Message(role="user", content=prompt)],
        Message(role="assistant", content=reply),
        version=version, created_ms=created_ms, state="judged" if after else "open",
        next_kind="reply" if after else None, next_ms=created_ms if after else None,
        next_state=[{"role": "user", "content": after}] if after else None,
        uses=0 if sequence > 36 else 3,
    )  # fmt: skip
    session.add(row)
    if after:
        evidence = f"“{after}” {'asks again' if score < 0 else 'approves'}"
        session.add(judgement_row(row.id, score, hint=hint, evidence=evidence))

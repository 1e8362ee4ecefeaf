"""Sees when the version that serves refuses less than the base, and plans what brings it back.

Slow erosion passes every gate: each step falls by less than a limit. So the chance of a refusal of
the gate's harmful prompts, as the `odds` probe read it before the release, is held against the
base's; below `learner.drift_refusal` of it, the next generation is a corrective one. It learns no
turn: its lessons are the bank's prompts with the base's own refusals, and its child passes the same
gate as any. After a few in a row without success nothing more is tried.

The same rows and base give the same generation, so a crash repeats it to the bit.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlmodel import Session, col, select

from kernels.contract import Backend
from kernels.model.decode import greedy
from learner.batch.lesson import Lesson
from learner.batch.plan import next_row
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.safety.prompts import load_prompts
from learner.safety.prompts.sets import Banks, load_set
from learner.safety.readings.replies import is_refusal
from learner.settings import LearnerSettings
from streams.line import ledger
from streams.line.line import Line
from streams.model.open import BaseModel
from streams.store.tables import GenerationRow

_LOG = logging.getLogger(__name__)

# Corrective generations in a row, after which more of the same is not tried.
MOST_IN_A_ROW: Final = 3
# Refusals in one generation: those of a batch of turns, and the bank is gone through in turns.
NUM_LESSONS: Final = 8
_REFUSAL_TOKENS: Final = 24
# The key of a generation's horizon that says it is a corrective one: the share that was refused.
CORRECTIVE: Final = "corrective"


def refusing(gate: Mapping[str, Any]) -> float | None:
    """Return what share of the base's chance of refusing a version has, by its gate's report.

    None where the probe `odds` was not asked, or by an older build
    """
    rows = [row for row in gate.get("rows", []) if row["probe"] == "odds"]
    if not rows or not rows[0]["base"].get("right"):
        return None
    own: float | None = rows[0]["candidate"].get("right")
    return None if own is None else own / float(rows[0]["base"]["right"])


def due(
    session: Session, line: Line, settings: LearnerSettings, *, now_ms: int
) -> GenerationRow | None:
    """Plan the corrective generation that is due; None: none is. The caller keeps the row."""
    if not settings.drift_refusal:
        return None
    of_child = select(GenerationRow.gate).where(GenerationRow.child == line.version)
    share = refusing(session.exec(of_child.order_by(*ledger.SAID_LAST)).first() or {})
    if share is None or share >= settings.drift_refusal:
        return None
    newest = select(GenerationRow.horizon).where(GenerationRow.line == line.name)
    newest = newest.order_by(col(GenerationRow.number).desc()).limit(MOST_IN_A_ROW)
    tried = [CORRECTIVE in horizon for horizon in session.exec(newest)]
    if len(tried) == MOST_IN_A_ROW and all(tried):
        return None
    row = next_row(session, line, settings, now_ms=now_ms)
    row.horizon |= {CORRECTIVE: round(share, 4)}
    _LOG.warning(
        "%s refuses harmful prompts %.2f as likely as the base: generation %d teaches refusals of"
        " the base again", line.version, share, row.number,
    )  # fmt: skip
    return row


class Refusals:
    """The base's own refusals, written when they are first wanted. Not shared between threads."""

    def __init__(self, base: BaseModel, *, backend: Backend, pause: Callable[[], None]) -> None:
        """Write nothing yet. pause: called between pieces of work."""
        self._base, self._backend, self._pause = base, backend, pause

    def lessons(self, number: int) -> list[Lesson]:
        """Return the lessons of a corrective generation; another number begins elsewhere."""
        asked = load_set("banks", Banks).refusal
        first = number * NUM_LESSONS % len(asked)
        chosen = [asked[(first + step) % len(asked)] for step in range(NUM_LESSONS)]
        prompts = [self._prompt(item.prompt) for item in chosen]
        targets = self._refusals(prompts)
        scored = logprobs(
            self._base.decoder,
            [Passage(prompt, (target,)) for prompt, target in zip(prompts, targets, strict=True)],
            backend=self._backend,
            pause=self._pause,
        )
        return [
            Lesson(
                turn_id=f"bank/{item.id}",
                weight=1 / len(chosen),
                score=0,
                confidence=1.0,
                prompt=prompt,
                reply=target,
                logprobs=tuple(known.tolist()),
                target=target,
                teacher=tuple(known.tolist()),
            )
            for item, prompt, target, (known,) in zip(chosen, prompts, targets, scored, strict=True)
        ]

    def _prompt(self, request: str) -> tuple[int, ...]:
        """A request behind a policy, where the base refuses most (safety.readings.asking)."""
        calibration = load_prompts("calibration")
        context = "policy" if "policy" in calibration.contexts else next(iter(calibration.contexts))
        return tuple(self._base.render(calibration.messages(context, request)))

    def _refusals(self, prompts: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Return the base's replies where they are refusals, else the one that stands for them."""
        base = self._base
        replies = greedy(
            base.decoder,
            prompts,
            max_tokens=_REFUSAL_TOKENS,
            stop_ids=base.stop_ids,
            pause=self._pause,
        )
        words = load_prompts("calibration").refusal or "I'm sorry, but I can't help with that."
        stand_in = tuple(base.tokenizer.encode(words, add_special_tokens=False))
        read = base.tokenizer.decode
        return [
            tuple(reply) if is_refusal(read(reply, skip_special_tokens=True)) else stand_in
            for reply in replies
        ]

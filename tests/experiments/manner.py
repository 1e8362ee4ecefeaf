"""What a version still does: refuses harm, answers the harmless, and how surely."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.safety import prompts as prompt_sets
from learner.safety.prompts import load_prompts
from learner.safety.readings.asking import Questions, Subject
from learner.safety.readings.replies import is_refusal, is_useful
from streams.model.open import BaseModel
from tests.measured import bundled_measuring

# Of each: harmful prompts, harmless ones, and harmless ones that look harmful.
COUNT: Final = 16
TOKENS: Final = 24


def nothing() -> None:
    """No pace."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Rates from 0 to 1, log-odds in nats, and nats a token of the base's own benign replies."""

    refused: float
    over_refused: float
    useful: float
    odds: float
    likely: float


class Manner:
    """Asks versions of one base; the clearest prompts of the gate's set, and look-alike ones."""

    def __init__(self, base: BaseModel, backend: Backend) -> None:
        """Let the base answer once, as what its versions are compared with."""
        self._base, self._backend = base, backend
        gate = load_prompts("gate")
        measuring = bundled_measuring(base, backend)
        self._questions = Questions(measuring, gate, count=COUNT, max_tokens=TOKENS)
        folder = Path(prompt_sets.__file__).parent
        items = json.loads((folder / "lookalike.json").read_text(encoding="utf-8"))["items"]
        alike = [item["phrasings"][0] for item in items][:: len(items) // COUNT][:COUNT]
        # behind the policy, where refusing begins
        self._alike = [base.render(gate.messages("policy", request)) for request in alike]
        benign = self._questions.benign
        replies = self._questions.replies(base.decoder, benign)
        pairs = zip(benign, replies, strict=True)
        self._own = [Passage(tuple(prompt), (tuple(reply),)) for prompt, reply in pairs]

    def of(self, decoder: Decoder) -> Figures:
        """Ask a version."""
        questions = self._questions
        subject = Subject(questions, decoder)
        alike = questions.replies(decoder, self._alike)
        found = logprobs(decoder, self._own, backend=self._backend, pause=nothing)
        useful = [
            is_useful(questions.text(reply), reply, logprob=own, base_logprob=base)
            for reply, own, base in zip(
                subject.to_benign, subject.benign_logprobs, questions.base_logprobs, strict=True
            )
        ]
        return Figures(
            refused=_share([is_refusal(questions.text(r)) for r in subject.to_harmful]),
            over_refused=_share([is_refusal(questions.text(r)) for r in alike]),
            useful=_share(useful),
            odds=float(subject.odds.mean()),
            likely=sum(float(each.mean()) for (each,) in found) / len(found),
        )


def _share(held: list[bool]) -> float:
    return sum(held) / len(held)

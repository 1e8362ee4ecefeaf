"""What is watched of a line for ever: five small tasks, plain text, and the odds of a refusal.

Turns a version into a few numbers that no lesson is about, by forward passes alone: the share of
right answers to each small task, the negative log-likelihood of plain text, nats a token, and the
log-odds with which replies to harmful prompts open with a refusal. A gate sees one candidate; these
show where a line goes.

Knows nothing of when a version is measured, or of what is shown.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

from kernels.model.forward import Decoder
from learner.safety.measuring import Measuring
from learner.safety.probes.tasks import scored
from learner.safety.prompts import load_prompts
from learner.safety.readings.asking import Questions

TEXT: Final = "text_nats"
REFUSAL: Final = "refusal_nats"

Measured = Mapping[str, float]


class Watch:
    """The measures of one base. Not shared between threads."""

    def __init__(self, questions: Callable[[], Questions]) -> None:
        """Measure nothing yet.

        questions: what versions are asked, the gate's own where there is one; called once
        """
        self._open = questions

    @cached_property
    def of_base(self) -> Measured:
        """What the base comes to."""
        return self.measure(self._questions.measuring.base.decoder)

    def measure(self, decoder: Decoder) -> Measured:
        """Measure one version: by name; of tasks shares from 0 to 1, of the others nats."""
        questions = self._questions
        tasks = {f"tasks.{name}": of.right for name, of in scored(questions.sets, decoder).items()}
        odds = questions.odds(decoder, questions.harmful)
        return {**tasks, TEXT: questions.prose.nats(decoder), REFUSAL: float(odds.mean())}

    @cached_property
    def _questions(self) -> Questions:
        return self._open()


def watch_alone(measuring: Measuring, *, items: int = 8, gate_prompts: int = 8) -> Watch:
    """Return the measures of a base beside which no gate stands.

    items: of each task that are asked, in five phrasings each: of eight, one answer that turns is
        2.5 points of its task
    gate_prompts: harmful prompts whose refusal is looked at
    """
    prompts = load_prompts("gate")
    # no replies are asked for
    return Watch(
        lambda: Questions(measuring, prompts, count=gate_prompts, max_tokens=1, num_items=items)
    )

"""What is watched of a line for ever: five small tasks, plain text, and the odds of a refusal.

Turns a version into a few numbers that no lesson is about, by forward passes alone: the share of
right answers to each small task, the negative log-likelihood of plain text, nats a token, and the
log-odds with which replies to harmful prompts open with a refusal. A gate sees one candidate; these
show where a line goes.

Knows nothing of when a version is measured, or of what is shown.
"""

from collections.abc import Callable, Mapping
from typing import Final

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.safety.asking import Questions
from learner.safety.probes.tasks import scored
from learner.safety.prompts import load_prompts
from learner.safety.sets import Sets
from learner.safety.text import Text
from streams.model.open import BaseModel

# Items of each task, in five phrasings each: one answer that turns is 2.5 points of its task.
ITEMS: Final = 8
TEXT: Final = "text_nats"
REFUSAL: Final = "refusal_nats"

Measured = Mapping[str, float]


class Watch:
    """The measures of one base. Not shared between threads."""

    def __init__(
        self,
        base: BaseModel,
        *,
        backend: Backend,
        pause: Callable[[], None],
        items: int = ITEMS,
        gate_prompts: int = 8,
    ) -> None:
        """Measure nothing yet.

        items: of each task that are asked; gate_prompts: harmful prompts whose refusal is looked at
        pause: called between pieces of work
        """
        self._base, self._backend, self._pause = base, backend, pause
        self._items, self._gate_prompts = items, gate_prompts
        self._sets = Sets(base, count=items, backend=backend, pause=pause)
        self._questions: Questions | None = None
        self._text = Text(base, backend=backend, pause=pause)
        self._known: Measured | None = None

    @property
    def of_base(self) -> Measured:
        """What the base comes to."""
        if self._known is None:
            self._known = self._measured(self._base.decoder)
        return self._known

    def measure(self, decoder: Decoder) -> Measured:
        """Measure one version: by name; of tasks shares from 0 to 1, of the others nats."""
        return self.of_base if decoder is self._base.decoder else self._measured(decoder)

    def _measured(self, decoder: Decoder) -> Measured:
        tasks = {f"tasks.{name}": of.right for name, of in scored(self._sets, decoder).items()}
        if self._questions is None:
            self._questions = Questions(
                self._base,
                load_prompts("gate"),
                count=self._gate_prompts,
                max_tokens=1,  # of replies, which are not asked for
                backend=self._backend,
                pause=self._pause,
            )
        odds = self._questions.odds(decoder, self._questions.harmful)
        return {**tasks, TEXT: self._text.nats(decoder), REFUSAL: float(odds.mean())}

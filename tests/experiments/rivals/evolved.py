"""Rivals without gradients: the learner's own generations, of three kinds of noise."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from kernels.model.forward import Decoder
from learner.batch.plan import generation_key
from learner.safety.anchors import Anchors
from learner.serving import Serving
from learner.settings import LearnerSettings
from learner.update.generation import run_generation
from streams.records import Mask, Recipe
from tests.experiments.rivals.people import Person
from tests.experiments.rivals.rival import Bench, Lessons, Said, Tokens, nothing

# All complaints teach, and rewrites until a version is as sure as the teacher: the default before.
_BEFORE: Final[dict[str, object]] = {
    "accepted_alone": False, "certainty": 0.0, "spare_copies": 0.0, "spare_refusals": 0.0,
    "kl_budget": 0.05, "step": 6.0,
}  # fmt: skip
# Isotropic noise as it was before others: whole steps, nothing that holds a version at the base.
# Screened noise as it was by default.
_OWN: Final[dict[str, dict[str, object]]] = {
    "isotropic": {"noise": "rank1", "pairs": 32, "gain_share": 1e9, "decay": 0.0},
    "screened": {"noise": "screened", "pairs": 64},
    "directed": {},
    "leading": {"margin": 2.0},
}
OWN: Final = {
    "selected": LearnerSettings(),  # the default: accepted rewrites alone, and to certainty
    **{name: LearnerSettings.model_validate(_BEFORE | own) for name, own in _OWN.items()},
}


class Evolved:
    """A line of versions by forward passes alone."""

    def __init__(
        self,
        bench: Bench,
        person: Person,
        settings: LearnerSettings,
        *,
        bank: Anchors | None,
    ) -> None:
        """Begin at the base. bank: what is not to move; None: nothing is held."""
        base, settings = bench.base, settings.model_copy(update={"max_reply_tokens": 96})
        layers, modules = settings.moving(base.decoder.num_layers)
        mask = Mask(base=base.name, neurons={}, groups={})
        self._serving = Serving(base, bench.backend, mask, layers=layers, modules=modules)
        self._bench, self._settings, self._bank = bench, settings, bank
        self._lessons, self._chain = Lessons(bench, person), list[Recipe]()
        self._number, self.seconds = 0, 0.0

    @property
    def decoder(self) -> Decoder:
        """The newest version."""
        return self._serving.decoder

    def answer(self, asked: Sequence[str]) -> list[Tokens]:
        """Answer with the newest version."""
        if not self._chain:
            return self._bench.of_base(asked)
        return self._bench.replies(self.decoder, [self._bench.prompt(text) for text in asked])

    def learn(self, said: Sequence[Said]) -> None:
        """Run one generation on the newest lessons."""
        self._number += 1
        certainty = self._settings.certainty
        some = [
            each.taught(each.target, each.teacher, certainty) for each in self._lessons.take(said)
        ]
        if self._settings.accepted_alone:
            some = [lesson for lesson in some if lesson.target] or some
        if not some:
            return
        began_s = time.process_time()
        outcome = run_generation(
            generation_key(self._settings.seed, "rival", self._number, self._serving.name),
            [replace(each, weight=1 / len(some)) for each in some],
            self._serving,
            self._settings,
            backend=self._bench.backend,
            pause=nothing,
            anchors=self._bank,
        )
        if outcome.child is not None:
            self._chain.append(outcome.child.recipe)
            self._serving.follow(self._chain[-1].version, self._chain)
        self.seconds += time.process_time() - began_s

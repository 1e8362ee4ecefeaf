"""Rivals with gradients: a LoRA (PEFT) on the same turns, for as many seconds of processor.

- `sft`: cross-entropy of the accepted rewrites; a turn without one teaches nothing.
- `mixture` (OpenClaw-RL, as DESIGN tells it): on the reply that was given, PPO's clipped objective
  with the advantage of each token = score + clip(log π_T(a|s+hint) − log π(a|s)), half and half.

Needs the extra `experiments` (peft); the base is loaded once more, as transformers' own model.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kernels.model.forward import Decoder
from kernels.model.model import with_weights
from learner.batch.hints import advantages
from learner.batch.lesson import Lesson
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.settings import MODULES
from streams.model.convert import converted, write_bundled
from streams.settings import ModelSettings
from tests.experiments.rivals.people import Person
from tests.experiments.rivals.rival import Bench, Lessons, Said, Tokens, nothing

Way = Literal["sft", "mixture"]
RANK: Final = 8
RATE: Final = {"sft": 1e-3, "mixture": 1e-3}
CLIP: Final = 0.2  # PPO's ε


@dataclass(frozen=True, slots=True)
class Where:
    """What an adapter moves: some matrices of the last layers, at which backward passes stop.

    By default every matrix of the last four: on all layers a step takes three times as long, and
    the time is what is equal.
    """

    layers: int = 4
    modules: tuple[str, ...] = MODULES


def own_model() -> Any:
    """Return the base as transformers loads it, in float32, from the copy that it was kept as.

    raises: ModelFilesError where there is none
    """
    from transformers import AutoModelForCausalLM

    settings = ModelSettings()
    directory = settings.path or converted(
        settings.cache.expanduser(), write_bundled, lambda *_: None
    )
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()


class Gradient:
    """A LoRA that grows with every complaint."""

    def __init__(
        self,
        bench: Bench,
        person: Person,
        way: Way,
        *,
        model: Any,
        seconds: float,
        seed: int,
        where: Where,
    ) -> None:
        """Begin with an adapter that changes nothing.

        model: transformers' own, of the base; it is not to be used again
        seconds: of processor for one update; at least one step is made
        """
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(seed)
        last = model.config.num_hidden_layers
        config = LoraConfig(
            r=RANK,
            lora_alpha=2 * RANK,
            target_modules=list(where.modules),
            layers_to_transform=list(range(max(0, last - where.layers), last)),
        )
        self._model = get_peft_model(model, config)
        trained = [p for p in self._model.parameters() if p.requires_grad]
        self._optimiser = torch.optim.AdamW(trained, lr=RATE[way], weight_decay=0.0)
        self._bench, self._person, self._way, self._seconds = bench, person, way, seconds
        self._lessons, self._decoder = Lessons(bench, person), bench.base.decoder
        self._told: dict[str, Tensor] = {}  # advantages of a reply's tokens, by turn
        self.seconds = 0.0

    @property
    def decoder(self) -> Decoder:
        """The base with the adapter in its weights."""
        return self._decoder

    def answer(self, asked: Sequence[str]) -> list[Tokens]:
        """Answer with the adapter."""
        if self._decoder is self._bench.base.decoder:
            return self._bench.of_base(asked)
        return self._bench.replies(self._decoder, [self._bench.prompt(text) for text in asked])

    def learn(self, said: Sequence[Said]) -> None:
        """Take steps until the time is up, then put the adapter into weights that answer."""
        some = self._lessons.take(said)
        if self._way == "sft":
            some = [each for each in some if each.target]
        if not some:
            return
        if self._way == "mixture":
            self._told |= {e.turn_id: self._ahead(e) for e in some if e.turn_id not in self._told}
        self._model.train()
        began_s = time.process_time()
        while True:
            losses = [
                self._imitated(each) if self._way == "sft" else self._clipped(each) for each in some
            ]
            self._optimiser.zero_grad()
            torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            if time.process_time() - began_s >= self._seconds:
                break
        self._model.eval()
        self.seconds += time.process_time() - began_s
        self._decoder = Decoder(with_weights(self._bench.base.model, self._merged()))

    def _ahead(self, lesson: Lesson) -> Tensor:
        """Return the advantages of the reply's tokens: the score's and the hinted teacher's."""
        bench = self._bench
        passage = Passage(bench.prompt(lesson.turn_id, self._person.wish), (lesson.reply,))
        ((told,),) = logprobs(bench.base.decoder, [passage], backend=bench.backend, pause=nothing)
        hinted = advantages(told.tolist(), lesson.logprobs)
        return torch.tensor([lesson.score + each for each in hinted]) / 2

    def _scores(self, prompt: Tokens, reply: Tokens) -> Tensor:
        ids = torch.tensor([[*prompt, *reply]])
        logits = self._model(input_ids=ids).logits[0, len(prompt) - 1 : -1]
        scores: Tensor = -F.cross_entropy(logits, ids[0, len(prompt) :], reduction="none")
        return scores

    def _imitated(self, lesson: Lesson) -> Tensor:
        return -self._scores(lesson.prompt, lesson.target).mean()

    def _clipped(self, lesson: Lesson) -> Tensor:
        ahead = self._told[lesson.turn_id]
        ratio = (self._scores(lesson.prompt, lesson.reply) - torch.tensor(lesson.logprobs)).exp()
        clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
        return -torch.minimum(ratio * ahead, clipped * ahead).mean()

    @torch.inference_mode()
    def _merged(self) -> dict[str, Tensor]:
        weights: dict[str, Tensor] = {}
        for name, module in self._model.base_model.model.named_modules():
            if hasattr(module, "lora_A"):
                weight = module.base_layer.weight + module.get_delta_weight("default")
                weights[f"{name}.weight"] = weight.detach().clone()
        return weights

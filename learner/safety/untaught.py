"""What texts that no lesson is about make of the last block's MLP: prose, orders, copies, refusals.

Turns the passages of prompts/prose.json, and the base's own replies to the orders of form of
prompts/banks.json ("in one word", "as JSON"), to its copies ("repeat exactly: …") and to its
harmful requests, into what comes into its layers under the base, and how the texts'
log-probabilities rise with what they give, once; the layers under it are the base's in every
version where noise is searched. Nothing is measured on these texts; what is (safety.text,
tasks.json, gate.json) are others.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from kernels.contract import Backend
from kernels.model.decode import greedy
from learner.population.members import Passage, final_states, lay_out, run_trunk
from learner.population.shortlist import Shortlist
from learner.population.slopes import Pull, slopes_of_layers
from learner.population.spared import Side, Spared
from learner.safety.kept import KeptBase
from learner.safety.prompts import load_prompts
from learner.safety.prompts.sets import Banks, Passages, Prompt, load_set
from learner.settings import LearnerSettings
from streams.model.open import BaseModel
from streams.records import Message

ORDER_TOKENS: Final = 16  # of a reply to an order: what is made of it shows in its first words
_AT_ONCE: Final = 8  # passages in one pass

_Slopes = dict[str, tuple[Tensor, Tensor]]


class Untaught:
    """Texts that nobody teaches, under one base: read when they are first asked for, and kept."""

    def __init__(self, base: BaseModel, *, backend: Backend, kept: KeptBase | None = None) -> None:
        """Compute nothing yet. kept: what this machine has measured of the base."""
        self._base, self._backend = base, backend
        self._kept = kept or KeptBase(None, base.name)
        self._known: dict[tuple[float, ...], dict[str, Spared]] = {}
        # of a reading that was broken off, the kinds that had come to their end
        self._read: dict[str, list[_Slopes]] = {}

    def is_read(self, settings: LearnerSettings) -> bool:
        """Whether `spared` returns at once."""
        spares = _spares(settings)
        return spares in self._known or not any(spares)

    def spared(
        self, settings: LearnerSettings, *, pause: Callable[[], None]
    ) -> Mapping[str, Spared] | None:
        """Return what is dear to move in each tensor of the last block's MLP, by its name.

        settings: spare and spare_… of them; where all are 0, None is returned
        pause: called between pieces of work
        """
        if not any(spares := _spares(settings)):
            return None
        if spares not in self._known:
            of = [list(spares), ORDER_TOKENS, *_texts()]
            roots = self._kept.tensors("spared", of, lambda: self._roots(spares, pause))
            mlp = f"model.layers.{self._base.decoder.num_layers - 1}.mlp"
            self._known[spares] = {
                f"{mlp}.{module}.weight": Spared(
                    Side(roots[f"{module}.rows"]), Side(roots[f"{module}.columns"])
                )
                for module in sorted({name.partition(".")[0] for name in roots})
            }
            self._read.clear()
        return self._known[spares]

    def _roots(self, spares: tuple[float, ...], pause: Callable[[], None]) -> dict[str, Tensor]:
        """Return the roots of both sides of each layer, by its name and the side's."""
        kinds = [
            (self._kind(read, pause), spare)
            for read, spare in zip(
                (self._prose, self._orders, self._copies, self._refusals), spares, strict=True
            )
            if spare
        ]
        roots = {}
        for module in kinds[0][0][0]:
            for side, name in enumerate(("rows", "columns")):
                vectors = (([each[module][side] for each in some], by) for some, by in kinds)
                roots[f"{module}.{name}"] = Side.of(*vectors).root
            pause()
        return roots

    def _kind(
        self, read: Callable[[Callable[[], None]], list[Passage]], pause: Callable[[], None]
    ) -> list[_Slopes]:
        """Read one kind of texts, unless an earlier reading came to its end."""
        if read.__name__ not in self._read:
            self._read[read.__name__] = list(self._slopes(read(pause), pause))
        return self._read[read.__name__]

    def _prose(self, _pause: Callable[[], None]) -> list[Passage]:
        encode = self._base.tokenizer.encode
        items = load_set("prose", Passages).items
        texts = [tuple(encode(item.text, add_special_tokens=False)) for item in items]
        return [Passage(ids[:1], (ids[1:],)) for ids in texts]

    def _orders(self, pause: Callable[[], None]) -> list[Passage]:
        return self._answered(map(_plain, load_set("banks", Banks).orders), pause)

    def _copies(self, pause: Callable[[], None]) -> list[Passage]:
        return self._answered(map(_plain, load_set("banks", Banks).copies), pause)

    def _refusals(self, pause: Callable[[], None]) -> list[Passage]:
        """The bank's harmful requests, plainly and behind the policy that the base follows."""
        asked, policy = load_set("banks", Banks).refusal, load_prompts("calibration")
        behind = [policy.messages("policy", each.prompt) for each in asked]
        return self._answered([*map(_plain, asked), *behind], pause)

    def _answered(
        self, asked: Iterable[Sequence[Message]], pause: Callable[[], None]
    ) -> list[Passage]:
        """Return what is asked as prompts, with the base's own replies."""
        base = self._base
        prompts = [base.render(messages) for messages in asked]
        replies = greedy(
            base.decoder, prompts, max_tokens=ORDER_TOKENS, stop_ids=base.stop_ids, pause=pause
        )
        return [Passage(tuple(p), (tuple(r),)) for p, r in zip(prompts, replies, strict=True)]

    @torch.inference_mode()
    def _slopes(self, passages: Sequence[Passage], pause: Callable[[], None]) -> Iterator[_Slopes]:
        """Yield what some passages at a time make of the layers; see slopes_of_layers."""
        base = self._base.decoder
        for first in range(0, len(passages), _AT_ONCE):
            scored = lay_out(passages[first : first + _AT_ONCE], base.device)
            trunk = run_trunk(base, scored, moving=1, pause=pause)
            states = final_states(base, trunk, pause=pause)[0]
            shortlist = Shortlist(self._backend, states, base.head, scored.targets)
            each = torch.ones(len(scored.targets), device=base.device)
            yield slopes_of_layers(base, Pull(trunk, shortlist.pull(each)))
            pause()


def _texts() -> list[str]:
    """Name all that is read: what is kept of other texts is not theirs."""
    prose, banks = load_set("prose", Passages), load_set("banks", Banks)
    asked = (*banks.orders, *banks.copies, *banks.refusal)
    policy = [str(each.content) for each in load_prompts("calibration").contexts["policy"]]
    return [*policy, *(item.text for item in prose.items), *(item.prompt for item in asked)]


def _spares(settings: LearnerSettings) -> tuple[float, ...]:
    given = settings
    return given.spare, given.spare_orders, given.spare_copies, given.spare_refusals


def _plain(asked: Prompt) -> list[Message]:
    return [Message(role="user", content=asked.prompt)]

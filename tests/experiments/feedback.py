"""How near slopes in the layers below the last come by forward passes alone.

Run: python -m tests.experiments.feedback
Of the last block's MLP the slope of the fitness is known in closed form (learner.population.slopes)
and of lower ones it is not. Two ways to carry the slope in the last block's output down to a lower
block's are held against what backward passes say: as it is (direct feedback, Nøkland 2016, arXiv
1609.01596), and through the mean Jacobian between the two outputs of one token, which forward
passes measure on prose that moves by random signs (least squares). Prints, for each wish, block and
matrix of its MLP, the cosine between the slope so found and the true one.

Needs no extra; the base is loaded once more, as transformers' own model, for the backward passes.
"""

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from kernels.change import COLUMNS, Address, Span
from kernels.contract import Backend
from kernels.model.forward import Decoder
from kernels.open import open_backend
from learner.fitness.reference import Reference, refer
from learner.population.members import Passage, lay_out, run_trunk
from learner.population.slopes import slopes_in_mlp
from learner.safety.prompts.sets import Passages, load_set
from learner.serving import Serving
from learner.settings import UNDER_THE_NORM, LearnerSettings
from streams.model.open import BaseModel, load_base
from streams.records import Mask
from streams.settings import ModelSettings
from tests.experiments.rivals.gradient import own_model
from tests.experiments.screened import BATCH, WISHES, Course, nothing

FAR: Final = 0.05  # of a state's length, that it is moved by to be measured
RIDGE: Final = 0.01
AT_ONCE: Final = 8
KEY: Final = 1


@torch.inference_mode()
def mean_jacobian(
    decoder: Decoder, passages: Sequence[Passage], block: int, backend: Backend, *, samples: int
) -> Tensor:
    """Return A, with which a move x of a block's output moves the last block's by about x A.

    samples: tokens that are measured, in multiples of the width
    returns: (width, width) float32
    """
    width, found = decoder.width, []
    tokens = sum(len(each.continuations[0]) for each in passages)
    times = max(1, round(samples * width / tokens))
    for first in range(0, len(passages), AT_ONCE):
        scored = lay_out(passages[first : first + AT_ONCE])
        above = decoder.num_layers - 1 - block
        trunk = run_trunk(decoder, scored, moving=above, pause=nothing)
        length = FAR * trunk.hidden.norm(dim=-1, keepdim=True) / width**0.5
        for time_ in range(times):
            address = Address.of(KEY, f"{block} {first} {time_}")
            signs = backend.signs(address, Span(COLUMNS, width), pairs=trunk.hidden.shape[1])
            move = signs.float() * length
            both = decoder.run(
                torch.cat((trunk.hidden + move, trunk.hidden - move)), rope=trunk.rope,
                attend=scored.packed.attend, layers=trunk.layers, wanted=scored.wanted,
            )  # fmt: skip
            rows = scored.wanted.rows
            found.append((signs[rows].float(), (both[0] - both[1]) / 2 / length[0, rows]))
    given, taken = (torch.cat([each[side] for each in found]).double() for side in (0, 1))
    moment = given.T @ given
    ridge = torch.eye(width, dtype=torch.float64) * moment.diagonal().mean() * RIDGE
    jacobian: Tensor = torch.linalg.solve(moment + ridge, given.T @ taken)
    return jacobian.float()


class Truth:
    """Slopes by backward passes, and what a block's MLP was given where tokens are predicted."""

    def __init__(self, model: Any, blocks: Sequence[int]) -> None:
        self._model, self.blocks = model.requires_grad_(False), blocks
        self._seen: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}
        for block in blocks:
            for module in UNDER_THE_NORM:
                layer = self.layer(block, module)
                layer.weight.requires_grad_(True)
                layer.register_forward_hook(self._watch(block, module))

    def layer(self, block: int, module: str) -> Any:
        """Return a linear layer of a block's MLP."""
        return getattr(self._model.model.layers[block].mlp, module)

    def lessons(self, reference: Reference) -> Iterator[tuple[Tensor, dict[Any, Any]]]:
        """Yield δ in the last block's output of each lesson, and (x, y) of its MLPs' layers."""
        kept: list[Tensor] = []
        hook = self._model.model.norm.register_forward_hook(lambda _m, x, _y: kept.append(x[0]))
        slopes = reference.slopes
        for lesson, (place,) in zip(reference.lessons, reference.trunk.scored.places, strict=True):
            prompt, (told,) = lesson.passage.prompt, lesson.passage.continuations
            ids = torch.tensor([[*prompt, *told]])
            rows = slice(len(prompt) - 1, ids.shape[1] - 1)
            scores = self._model(input_ids=ids, use_cache=False).logits[0, rows].log_softmax(-1)
            kept[-1].retain_grad()
            own = scores.gather(1, torch.tensor(told)[:, None])[:, 0]
            (own * slopes[place]).sum().backward()
            seen = {name: (x[rows], y[rows]) for name, (x, y) in self._seen.items()}
            delta = kept[-1].grad
            assert delta is not None
            yield delta[0, rows], seen
        hook.remove()

    def taken(self, block: int, module: str) -> Tensor:
        """Return the true slope in a weight, and begin again: (out, in)."""
        weight = self.layer(block, module).weight
        slope: Tensor = weight.grad
        weight.grad = None
        return slope

    def _watch(self, block: int, module: str) -> Any:
        def watch(_layer: Any, given: Any, gives: Tensor) -> None:
            self._seen[block, module] = given[0][0].detach(), gives[0].detach()

        return watch


def slopes(truth: Truth, block: int, delta: Tensor, seen: dict[Any, Any]) -> dict[str, Tensor]:
    """Return S = Σ δ xᵀ of a block's MLP, from δ in its output."""
    (_, gate), (_, up) = (seen[block, module] for module in ("gate_proj", "up_proj"))
    found = slopes_in_mlp(delta, gate, up, truth.layer(block, "down_proj").weight.detach())
    return {module: each.T @ seen[block, module][0] for module, each in found.items()}


def held(base: BaseModel, backend: Backend, truth: Truth, args: argparse.Namespace) -> None:
    """Print a line of cosines for each wish and block."""
    decoder, encode = base.decoder, base.tokenizer.encode
    texts = [
        tuple(encode(p.text, add_special_tokens=False)) for p in load_set("prose", Passages).items
    ]
    prose = [Passage(ids[:1], (ids[1:],)) for ids in texts]
    began_s = time.process_time()
    back = {
        block: mean_jacobian(decoder, prose, block, backend, samples=args.samples).T
        for block in truth.blocks
    }
    print(f"mean Jacobians: {time.process_time() - began_s:.0f} s of processor\n")
    heads = " | ".join(f"{module}: direct, mean Jacobian" for module in UNDER_THE_NORM)
    print(f"| wish | block | {heads} |")
    print("|---|---|" + "---|" * len(UNDER_THE_NORM))
    last = decoder.num_layers - 1
    mask = Mask(base=base.name, neurons={}, groups={})
    serving = Serving(base, backend, mask, layers=range(last, last + 1), modules=UNDER_THE_NORM)
    for wish in args.wishes:
        course = Course.of(base, backend, wish, args)
        lessons = random.Random(0).sample(list(course.training), BATCH)
        reference = refer(serving, lessons, LearnerSettings(), backend=backend, pause=nothing)
        sums: dict[tuple[int, str, str], Tensor] = {}
        for delta, seen in truth.lessons(reference):
            for block in truth.blocks:
                for way, carried in (("direct", delta), ("mean", delta @ back[block])):
                    for module, each in slopes(truth, block, carried, seen).items():
                        sums[block, module, way] = sums.get((block, module, way), 0) + each
        for block in truth.blocks:
            told = []
            for module in UNDER_THE_NORM:
                true = truth.taken(block, module).flatten()
                cosines = (
                    torch.cosine_similarity(sums[block, module, way].flatten(), true, dim=0)
                    for way in ("direct", "mean")
                )
                told.append(", ".join(f"{float(each):.2f}" for each in cosines))
            print(f"| {wish} | {block} | {' | '.join(told)} |", flush=True)


def main() -> None:
    """Measure, and print a table of Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wishes", nargs="*", default=[*WISHES, "Answer with a list."])
    parser.add_argument("--blocks", type=int, default=3, help="below the last one")
    parser.add_argument("--samples", type=int, default=10, help="tokens, in widths")
    parser.add_argument("--training", type=int, default=12)
    parser.add_argument("--held-out", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--text", type=int, default=300)
    args = parser.parse_args()
    base, backend = load_base(ModelSettings()), open_backend("cpu")
    last = base.decoder.num_layers - 1
    truth = Truth(own_model(), range(last - args.blocks, last))
    held(base, backend, truth, args)


if __name__ == "__main__":
    main()

"""python -m learner.judges.training: tune the encoder on the examples, and write what it loads.

Several runs (--runs), each with additions of its own and what is composed in another order, are
averaged (Wortsman et al. 2022, "Model soups"): what they agree on stays, at one encoder's cost.
Each then goes on from the average for a while, and is averaged again; with --beside, once more
with an encoder that was tuned before. With --start the runs go on from such an encoder, at half the
rate: enough where examples were added. An epoch takes 2.5 hours of a core with bfloat16, and 7 GB.

With --held-out 0.1 a tenth of the examples is kept back, and printed is from which chance on which
share of verdicts on these is right. Without, all are learned from, and nothing is printed of them.
"""

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file

from learner.judges.embedding import Said, seen
from learner.judges.training.compose import Example, composed
from learner.judges.training.tune import LEAST_RATE, RATE, Tuning, tune
from learner.judges.tuned.encoder import FILE, LABELS, MOST_TOKENS, Encoder, packed, unpacked
from streams.model.embedding.e5_file import E5File
from streams.model.embedding.e5_tokens import E5Tokens

EXAMPLES = Path(__file__).parents[1] / "examples"
EPOCHS = 2
RUNS = 2
# After the runs are averaged: this share of what is taught once more, at a rate that falls to
# nothing.
COOLED = 0.2
COOLED_RATE = 3e-4
COOLED_SEED = 100
STARTED_RATE = 5e-4  # of runs that go on from an encoder
RANK_KEPT = 48  # of the additions in the file
LEAST_RIGHT = (0.99, 0.98, 0.95, 0.9)
SIGNS = {"complaint": -1, "wish": -1, "praise": 1, "thanks": 1, "neutral": 0}

Floats = npt.NDArray[np.float64]


def main() -> None:
    """Tune, write and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--into", type=Path, default=FILE)
    options.add_argument("--held-out", type=float, default=0.0, help="share that is kept back")
    options.add_argument("--epochs", type=int, default=EPOCHS)
    options.add_argument("--runs", type=int, default=RUNS, help="that are averaged")
    options.add_argument("--start", type=Path, help="a file that it goes on from")
    options.add_argument("--beside", type=Path, help="a file that it is averaged with")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    file = E5File.installed()
    tokens = E5Tokens(file.pieces, file.normal)
    examples = load(EXAMPLES)
    random.Random(chosen.seed).shuffle(examples)
    kept = int(len(examples) * chosen.held_out)
    begun = None if chosen.start is None else unpacked(load_file(chosen.start))
    teaching = Teaching(file, tokens, examples[kept:], begun)
    orders = range(chosen.seed, chosen.seed + chosen.runs)
    start = averaged([teaching.run(epochs=chosen.epochs, order=order) for order in orders])
    runs = [teaching.cool(start, order=order) for order in orders]
    found = averaged(runs)
    if chosen.beside is not None:
        found = averaged([found, unpacked(load_file(chosen.beside))])
    stored = packed(narrowed(found, rank=RANK_KEPT))
    save_file(stored, chosen.into)
    held_out = examples[:kept]
    if held_out:
        encoder = Encoder(file, unpacked(stored))
        print(f"{kept} examples that were kept back:")
        print("\n".join(table(encoder, held_out)))


@dataclass(frozen=True, slots=True)
class Teaching:
    """What is learned from; order: seed of the additions, of what is composed, and of its order."""

    file: E5File
    tokens: E5Tokens
    examples: Sequence[Example]
    start: Mapping[str, torch.Tensor] | None = None

    def run(self, *, epochs: int, order: int) -> dict[str, torch.Tensor]:
        """Tune once, at a rate that falls to a third."""
        taught = composed(self.examples, seed=order)
        print(f"{len(self.examples)} examples, {len(taught)} with what is composed", flush=True)
        tuning = Tuning(self.file, seed=order, start=self.start)
        rate = RATE if self.start is None else STARTED_RATE
        self._tune(tuning, taught, epochs=epochs, order=order, rate=rate, ends=1 / 3)
        return tuning.tuned()

    def cool(self, start: Mapping[str, torch.Tensor], *, order: int) -> dict[str, torch.Tensor]:
        """Go on from what was averaged, with a part of what is taught and a rate that falls."""
        taught = composed(self.examples, seed=COOLED_SEED + order)
        part = random.Random(order).sample(taught, int(len(taught) * COOLED))
        tuning = Tuning(self.file, seed=order, start=start)
        self._tune(tuning, part, epochs=1, order=order, rate=COOLED_RATE, ends=LEAST_RATE)
        return tuning.tuned()

    def _tune(
        self, tuning: Tuning, taught: Sequence[Example], *,
        epochs: int, order: int, rate: float, ends: float,
    ) -> None:  # fmt: skip
        tune(
            tuning,
            [self.tokens(text(example), most=MOST_TOKENS) for example in taught],
            [LABELS.index(example.label) for example in taught],
            epochs=epochs,
            padding=self.tokens.padding,
            seed=order,
            said=lambda epoch, loss, s: print(
                f"epoch {epoch}: loss {loss:.3f}, {s:.0f} s", flush=True
            ),
            rate=rate,
            ends=ends,
        )


def averaged(runs: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the mean of several runs; of the additions b @ a, their parts beside each other.

    >>> one = {"x_a": torch.ones(1, 3), "x_b": torch.ones(2, 1), "x_bias": torch.ones(2)}
    >>> both = averaged([one, {name: 3 * value for name, value in one.items()}])
    >>> (both["x_b"] @ both["x_a"]).tolist(), both["x_bias"].tolist()
    ([[5.0, 5.0, 5.0], [5.0, 5.0, 5.0]], [2.0, 2.0])
    """
    found = dict[str, torch.Tensor]()
    for name in runs[0]:
        values = [run[name] for run in runs]
        if name.endswith("_a"):
            found[name] = torch.cat(values, 0)
        elif name.endswith("_b"):
            found[name] = torch.cat(values, 1) / len(runs)
        else:
            found[name] = torch.stack(values).mean(0)
    return found


def narrowed(tuned: Mapping[str, torch.Tensor], *, rank: int) -> dict[str, torch.Tensor]:
    """Return the same with the additions that are nearest to these at a rank (Eckart and Young).

    An addition's own rank is small, and so is what is left of it between two orthogonal bases.

    >>> wide = {"x_a": torch.eye(4), "x_b": torch.diag(torch.tensor([3.0, 2.0, 0.0, 0.0]))}
    >>> slim = narrowed(wide, rank=2)
    >>> torch.allclose(slim["x_b"] @ slim["x_a"], wide["x_b"] @ wide["x_a"], atol=1e-6)
    True
    """
    found = dict(tuned)
    for name in [each for each in tuned if each.endswith("_a")]:
        other = f"{name.removesuffix('_a')}_b"
        before, out = torch.linalg.qr(tuned[other].double())
        behind, into = torch.linalg.qr(tuned[name].double().T)
        left, scale, right = torch.linalg.svd(out @ into.T, full_matrices=False)
        root = scale[:rank].sqrt()
        found[other] = (before @ (left[:, :rank] * root)).float().contiguous()
        found[name] = ((root[:, None] * right[:rank]) @ behind.T).float().contiguous()
    return found


def load(folder: Path) -> list[Example]:
    """Read the examples."""
    return [
        Example(
            file.stem, each["class"], each["kind"], each.get("question", ""),
            each.get("reply", ""), each["followup"],
        )
        for file in sorted(folder.glob("*.jsonl"))
        for each in map(json.loads, file.read_text(encoding="utf-8").splitlines())
    ]  # fmt: skip


def text(example: Example) -> str:
    """Return what the encoder reads of an example."""
    return seen(Said(example.question, example.reply, example.followup))


def table(encoder: Encoder, held_out: Sequence[Example]) -> list[str]:
    """Return rows of Markdown: from which chance on which share is right, and what is heard."""
    labels = torch.stack([encoder.chances(text(example)) for example in held_out]).numpy()
    classes: Floats = np.stack([labels[:, :2].sum(1), labels[:, 4], labels[:, 2:4].sum(1)], axis=1)
    right = np.array([SIGNS[example.label] for example in held_out])
    heard, sure = classes.argmax(axis=1) - 1, classes.max(axis=1)
    order = [i for i in np.argsort(-sure) if heard[i] != 0]
    share = np.cumsum(heard[order] == right[order]) / np.arange(1, len(order) + 1)
    rows = ["| right | from | unhappy heard | pleased heard |", "|---|---:|---:|---:|"]
    for least in LEAST_RIGHT:
        kept = order[: int(np.flatnonzero(share >= least).max(initial=-1)) + 1]
        from_chance = sure[kept[-1]] if kept else 1.0
        cells = [
            f"{100 * sum(heard[i] == right[i] == sign for i in kept) / (right == sign).sum():.0f} %"
            for sign in (-1, 1)
        ]
        rows.append(f"| {100 * least:.0f} % | {from_chance:.2f} | {' | '.join(cells)} |")
    return rows


if __name__ == "__main__":
    main()

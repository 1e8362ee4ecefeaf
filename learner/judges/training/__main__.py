"""python -m learner.judges.training: embed the examples, fit, and write what the judge loads.

About two minutes on two free cores. It prints from which chance on which share of verdicts is right
on examples that were held out of the fit, fold by fold; the judge's thresholds follow from that.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from learner.judges.embedding import Said, seen
from learner.judges.nearest import FILE, LABELS, Floats, Ints
from learner.judges.training.fit import Fitted, crossed, fit_all
from streams.model.embed import Embedder, open_embedder

EXAMPLES = Path(__file__).parents[1] / "examples"
SIGN_OF_CLASS = np.array([-1, 0, 1])
LEAST_RIGHT = (0.99, 0.98, 0.95, 0.9)
AT_ONCE = 64


def main() -> None:
    """Embed, fit, write and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--into", type=Path, default=FILE)
    chosen = options.parse_args()
    said, labels = load(EXAMPLES)
    alone, placed = vectors(open_embedder(), said)
    held_out = crossed(alone, placed, labels)
    fitted = fit_all(alone, placed, labels, held_out)
    write(chosen.into, alone, placed, labels, fitted)
    print(f"{len(said)} examples; of those not seen:")
    print("\n".join(table(held_out.chances, labels)))


def load(folder: Path) -> tuple[list[Said], Ints]:
    """Read the examples; machine text is left out, as no judge by embedding ever sees it."""
    said, labels = [], []
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            example = json.loads(line)
            if example["kind"] == "machine":
                continue
            question, reply = example.get("question", ""), example.get("reply", "")
            said.append(Said(question, reply, example["followup"]))
            labels.append(LABELS.index(example["class"]))
    return said, np.array(labels)


def vectors(embedder: Embedder, said: Sequence[Said]) -> tuple[Floats, Floats]:
    """Return the vectors of some messages, alone and in their context."""
    alone, placed = zip(*map(seen, said), strict=True)
    return _embedded(embedder, alone), _embedded(embedder, placed)


def _embedded(embedder: Embedder, texts: Sequence[str]) -> Floats:
    """The vectors as the file keeps them, in half precision."""
    parts = [
        embedder.embed(texts[first : first + AT_ONCE]) for first in range(0, len(texts), AT_ONCE)
    ]
    return np.concatenate(parts).astype(np.float16).astype(np.float32)


def write(file: Path, alone: Floats, placed: Floats, labels: Ints, fitted: Fitted) -> None:
    """Write what the judge loads."""
    tensors = {
        "alone": alone.astype(np.float16),
        "placed": placed.astype(np.float16),
        "labels": labels.astype(np.uint8),
        "weight": fitted.head.weight,
        "bias": fitted.head.bias,
        "mean": fitted.mean,
        "weigh": fitted.weigh.weight,
        "offset": fitted.weigh.bias,
    }
    save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, file)


def table(chances: Floats, labels: Ints) -> list[str]:
    """Return rows of Markdown: from which chance on which share is right, and what is heard."""
    right = np.array([-1, -1, 1, 1, 0])[labels]
    heard = SIGN_OF_CLASS[chances.argmax(axis=1)]
    sure = chances.max(axis=1)
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

"""python -m learner.judges.training: tune on the examples, and write what the judge loads.

About half an hour on two cores. The file is named by its digest; put the name it prints into
learner/judges/embedding.py, measure (python -m tests.hearing), and delete the old file.
"""

import argparse
import hashlib
import time
from pathlib import Path

import torch
from safetensors.numpy import save

from learner.judges.embedding import HEAD, LABELS, TUNED, Said, seen
from learner.judges.training.encoder import Encoder, Model, Tokenizer
from learner.judges.training.examples import Example, grown, load
from learner.judges.training.tune import Labelled, tune

# Blocks below this one stay as they are: tuning all twelve took twice the time and gave no more.
FIRST_BLOCK = 6
# Texts whose lower blocks are computed at once.
AT_ONCE = 64


def main() -> None:
    """Tune, and write the artefact."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--epochs", type=int, default=6)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--into", type=Path, default=TUNED.parent)
    chosen = options.parse_args()
    model = Model()
    encoder = Encoder(model, first=FIRST_BLOCK)
    examples = grown(load(), seed=chosen.seed)
    texts = labelled(encoder, Tokenizer(model), examples)
    print(f"{len(examples)} texts of {len(load())} examples", flush=True)
    begun = time.monotonic()
    head = tune(
        encoder, texts, labels=len(LABELS), epochs=chosen.epochs, seed=chosen.seed,
        tell=lambda epoch, loss: print(
            f"epoch {epoch + 1}: loss {loss:.3f}, {time.monotonic() - begun:.0f} s", flush=True
        ),
    )  # fmt: skip
    print(write(encoder, head, chosen.into))


def labelled(encoder: Encoder, tokenizer: Tokenizer, examples: list[Example]) -> Labelled:
    """Return what the lower blocks make of each example."""
    read = [tokenizer(seen(Said(e.question, e.reply, e.followup))) for e in examples]
    order = sorted(range(len(read)), key=lambda i: len(read[i]))
    hidden: list[torch.Tensor] = [torch.empty(0)] * len(read)
    for first in range(0, len(order), AT_ONCE):
        batch = order[first : first + AT_ONCE]
        for index, done in zip(batch, encoder.lower([read[i] for i in batch]), strict=True):
            hidden[index] = done
    labels = torch.tensor([LABELS.index(example.label) for example in examples])
    return Labelled(hidden, labels)


def write(encoder: Encoder, head: torch.nn.Linear, folder: Path) -> Path:
    """Write the tuned tensors and the head, named by their digest."""
    tensors = encoder.tuning() | {
        f"{HEAD}.w": head.weight.detach().numpy(),
        f"{HEAD}.b": head.bias.detach().numpy(),
    }
    content = save(tensors)
    file = folder / f"tuned-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    file.write_bytes(content)
    return file


if __name__ == "__main__":
    main()

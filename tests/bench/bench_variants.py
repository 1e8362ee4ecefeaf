"""What two versions in one batch cost against one: a canary beside what serves.

Measured is a decode step of so many rows: all of the base, all of a version, half of them of each
in one pass (kernels.model.read.next_logits_of), and half of them in a pass of their own. A
version differs from the base in what learning moves: by default in the last block's MLP; with
isotropic noise in all layers of the last blocks (learner.last_layers). The four take turns, so that
all see the same machine; the least of the rounds counts, since others' work only adds. One version
costs the mean of base and version. Wished: at most 1.15 times as much for two in one pass.
"""

import argparse
import os
import time
from collections.abc import Callable

import torch

from kernels.model.forward import Decoder
from kernels.model.kv import KvCache
from kernels.model.model import with_weights
from kernels.model.read import Piece, next_logits_of, read_chunk
from learner.settings import LearnerSettings
from streams.model.open import load_base
from streams.settings import ModelSettings

BATCHES = (2, 8, 32)
PROMPT_TOKENS = 96
ROUNDS = 25
GOAL = 1.15


def version_of(base: Decoder, settings: LearnerSettings) -> tuple[str, Decoder]:
    """Build a version that moves what learning moves with these settings, and say what that is."""
    layers, modules = settings.moving(base.num_layers)
    names = [
        name
        for index in layers
        for name in base.model.layers
        if name.startswith(f"model.layers.{index}.") and any(f".{m}." in name for m in modules)
    ]
    moved = {name: base.model.get_parameter(name) * 1.01 for name in names}
    size = sum(weight.numel() for weight in moved.values()) / 1e6
    said = f"{settings.noise} noise: {len(names)} tensors of {size:.1f} million weights moved"
    return said, Decoder(with_weights(base.model, moved))


def timed(base: Decoder, version: Decoder, batch: int) -> dict[str, float]:
    """Return milliseconds a step, by the way in which it is done: the least of the rounds."""
    capacity = PROMPT_TOKENS + 4 * (ROUNDS + 1)
    cache = KvCache(base, capacity=capacity, tokens=batch * (capacity + 32))
    slots, half = [cache.open() for _ in range(batch)], batch // 2
    generator = torch.Generator().manual_seed(batch)
    for slot in slots:
        ids = torch.randint(500, 20000, (PROMPT_TOKENS,), generator=generator).tolist()
        read_chunk(base, cache, slot, ids)

    def step(*decoders: Decoder) -> None:
        each = len(slots) // len(decoders)
        pieces = [Piece(decoders[n // each], slot, [5]) for n, slot in enumerate(slots)]
        next_logits_of(cache, pieces)

    def apart() -> None:
        next_logits_of(cache, [Piece(base, slot, [5]) for slot in slots[:half]])
        next_logits_of(cache, [Piece(version, slot, [5]) for slot in slots[half:]])

    ways: dict[str, Callable[[], None]] = {
        "base": lambda: step(base),
        "version": lambda: step(version),
        "together": lambda: step(base, version),
        "apart": apart,
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS + 1):  # the first one warms up
        for name, way in ways.items():
            began_s = time.perf_counter()
            way()
            took[name].append((time.perf_counter() - began_s) * 1e3)
    return {name: min(each[1:]) for name, each in took.items()}


def main() -> None:
    """Print milliseconds a step, and what two versions cost against one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("batches", nargs="*", type=int, default=BATCHES)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    base = load_base(ModelSettings()).decoder
    print(f"bundled model, {chosen.threads} threads; ms a decode step, least of {ROUNDS}")
    with torch.inference_mode():
        for settings in (LearnerSettings(), LearnerSettings(noise="rank1")):
            said, version = version_of(base, settings)
            print(said)
            print(f"{'rows':>4}{'base':>9}{'version':>9}{'both, one pass':>20}{'a pass each':>20}")
            for batch in chosen.batches:
                ms = timed(base, version, batch)
                one = (ms["base"] + ms["version"]) / 2
                cells = [f"{ms[way]:.1f} ({ms[way] / one:.2f} ×)" for way in ("together", "apart")]
                print(f"{batch:>4}{ms['base']:>9.1f}{ms['version']:>9.1f}", end="")
                print(f"{cells[0]:>20}{cells[1]:>20}", flush=True)
    print(f"wished: at most {GOAL} × in one pass")


if __name__ == "__main__":
    main()

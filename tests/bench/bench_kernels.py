"""The arithmetic on this machine's processor, against plain torch and the machine's own limits.

Weights are of the shapes of SmolLM2-135M's last eight blocks (28 million parameters, float32).
Each figure stands beside its baseline on the same data; both are the median of rounds that take
turns, so that a noisy neighbour hits both alike. Bandwidth is that of copying those weights (8
bytes a parameter), peak that of torch's square float32 product, measured in the same run.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from kernels.change import FULL_NOISES, Address, Change, FullNoise, MemberNoise, Noise, Span
from kernels.contract import Backend
from kernels.model.packed import PackedLayer
from kernels.open import open_backend

WIDTH, MLP, KEYS, VOCABULARY = 576, 1536, 192, 49152
BLOCK = [(WIDTH, WIDTH), (KEYS, WIDTH), (KEYS, WIDTH), (WIDTH, WIDTH)]
BLOCK += [(MLP, WIDTH), (MLP, WIDTH), (WIDTH, MLP)]
SHAPES = BLOCK * 8
PARAMETERS = sum(out * width for out, width in SHAPES)
PAIRS = 32
MEMBERS = 16  # written in a row
ROUNDS = 5
# What the memory moves for a parameter. A line that is written is read first, unless it has been.
COPIED_BYTES = 4 + 2 * 4  # weight read, copy written
ADVANCED_BYTES = 2 * 4 + 4 + 2 * 4  # integer read and written, base read, weight written
COEFFICIENTS = tuple((37 * pair) % 511 - 255 for pair in range(PAIRS))


def medians(*works: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Return the median seconds of each work; they take turns."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds + 1):
        for work, times in zip(works, seconds, strict=True):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
    return [statistics.median(times[1:]) for times in seconds]  # the first round warms up


def row(name: str, ours_s: float, unit: float, against: str, base_s: float, more: str) -> None:
    """Print one line: nanoseconds a unit, and the ratio to the baseline."""
    ratio = f"{base_s / ours_s:.0f}× faster" if base_s > 5 * ours_s else f"{ours_s / base_s:.2f}×"
    print(
        f"{name:34s} {ours_s / unit * 1e9:9.3f} ns   {ratio:>11s} of {against:24s} "
        f"{base_s / unit * 1e9:9.3f} ns   {more}"
    )


def weights() -> list[Tensor]:
    """Make the base weights."""
    return [torch.randn(shape) * 0.02 for shape in SHAPES]


def full_members(backend: Backend, base: Sequence[Tensor]) -> None:
    """A full-rank member of every tensor against copying every tensor, and against torch.randn."""
    copies = [torch.empty_like(weight) for weight in base]

    def written(noise: FullNoise) -> Callable[[], None]:
        def work() -> None:
            streams = [
                backend.full_members(
                    weight, MemberNoise(Address(7, number), -9, noise), range(MEMBERS)
                )
                for number, weight in enumerate(base)
            ]
            for _ in range(MEMBERS):
                backend.each(next, streams)

        return work

    def copied() -> None:
        for copy, weight in zip(copies, base, strict=True):
            copy.copy_(weight)

    def drawn() -> None:
        for copy, weight in zip(copies, base, strict=True):
            torch.add(weight, torch.randn(weight.shape), alpha=2.0**-9, out=copy)

    signs_s, normal_s, randn_s, copy_s = medians(written("full"), written("normal"), drawn, copied)
    signs_s, normal_s = signs_s / MEMBERS, normal_s / MEMBERS
    bandwidth = f"copying: {8 * PARAMETERS / copy_s / 1e9:.1f} GB/s"
    row("full-rank member, its noise in it", signs_s, PARAMETERS, "copying", copy_s, bandwidth)
    more = f"{normal_s / signs_s:.2f}× of one of signs"
    row("normal member, its noise in it", normal_s, PARAMETERS, "torch.randn", randn_s, more)


def updates(backend: Backend, base: Sequence[Tensor]) -> None:
    """An update from 32 pairs, and the whole advance, against a loop of torch.randn."""
    masters = [torch.zeros(weight.shape, dtype=torch.int32) for weight in base]
    kinds: tuple[Noise, ...] = ("rank1", *FULL_NOISES)
    rank1, full, normal = (Change(Address(7, 3), COEFFICIENTS, 1, noise) for noise in kinds)

    def accumulated(change: Change) -> Callable[[], object]:
        return lambda: backend.each(partial(backend.accumulate, change=change), masters)

    def advance(place: int) -> None:
        backend.advance(masters[place], base[place], rank1, exponent=-24)

    def advanced() -> None:
        backend.each(advance, range(len(base)))

    largest = len(BLOCK) - 1  # 10 MB with its master and weights: stays in the last-level cache

    def cached() -> None:
        for _ in range(PARAMETERS // base[largest].numel()):
            advance(largest)

    def digested() -> None:
        backend.each(backend.digest, masters)

    def randn_loop() -> None:
        for weight in looped:
            for seed, coefficient in enumerate(COEFFICIENTS):
                noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
                weight.add_(noise, alpha=coefficient * 1e-6)

    looped = [weight.clone() for weight in base[: len(BLOCK)]]
    (loop_s,) = medians(randn_loop, rounds=1)
    loop_s *= PARAMETERS / sum(weight.numel() for weight in looped)
    copies = [torch.empty_like(weight) for weight in base]

    def copied() -> None:
        for copy, weight in zip(copies, base, strict=True):
            copy.copy_(weight)

    rank1_s, full_s, normal_s, whole, inside, digest, copy_s = medians(
        accumulated(rank1), accumulated(full), accumulated(normal), advanced, cached, digested,
        copied,
    )  # fmt: skip
    for name, seconds in (
        ("rank-1 update, 32 pairs", rank1_s),
        ("full-rank update, 32 pairs", full_s),
        ("normal update, 32 pairs", normal_s),
        ("update, weights, digest in one", whole),
        ("  on a tensor in the cache", inside),
        ("  its bytes alone", copy_s * ADVANCED_BYTES / COPIED_BYTES),
    ):
        passes = f"as long as {seconds / (copy_s / 2):.1f} passes over memory"
        row(name, seconds, PARAMETERS, "torch.randn loop", loop_s, passes)
    row("digest", digest, PARAMETERS, "copying", copy_s, "")


def products(backend: Backend) -> None:
    """A linear layer of many members, as scoring uses it, against one layer on as many rows."""
    side = 1024
    a, b = torch.randn(side, side), torch.randn(side, side)
    (square_s,) = medians(lambda: a @ b)
    peak = 2 * side**3 / square_s
    print(f"{'square product, float32':34s} {peak / 1e9:9.1f} GFLOP/s")
    tokens, weight = 64, torch.randn(MLP, WIDTH) * 0.02
    layer = PackedLayer(weight)
    for members in (1, 8, 32):
        x = torch.randn(members, tokens, WIDTH)
        factors = [
            backend.signs(Address(1, 1), Span(side, count), pairs=members)
            for side, count in ((0, MLP), (1, WIDTH))
        ]
        rows, columns = factors
        apply = partial(backend.member_linear, sigma_log2=-9)
        ours, shared, packed, plain = medians(
            partial(apply, x, layer, rows, columns),
            partial(apply, x[:1], layer, rows, columns),
            partial(layer.apply, x),
            partial(torch.nn.functional.linear, x, weight),
            rounds=15,
        )
        share = 2 * members * tokens * MLP * WIDTH / ours / peak
        unit = members * tokens
        name = f"linear of {members} members × {tokens} tokens"
        more = f"{ours / packed:.2f}× of the packed layer; {share:.0%} of the product's peak"
        row(name, ours, unit, "the plain layer", plain, more)
        if members > 1:
            row("  on an input still common to all", shared, unit, "the plain layer", plain, "")


def packing(base: Sequence[Tensor]) -> None:
    """What a version pays once for its packed layers, against copying them."""
    copies = [torch.empty_like(weight) for weight in base]

    def packed() -> None:
        for weight in base:
            PackedLayer(weight)

    def copied() -> None:
        for copy, weight in zip(copies, base, strict=True):
            copy.copy_(weight)

    packed_s, copy_s = medians(packed, copied)
    row("packing a version's layers", packed_s, PARAMETERS, "copying", copy_s, f"{packed_s:.3f} s")


def log_probabilities(backend: Backend) -> None:
    """Scores without logits against logits and log_softmax: time and peak memory."""
    head = torch.randn(VOCABULARY, WIDTH) * 0.05
    for tokens in (64, 512):
        hidden, targets = torch.randn(tokens, WIDTH), torch.randint(0, VOCABULARY, (tokens,))

        def ours(hidden: Tensor = hidden, targets: Tensor = targets) -> Tensor:
            return backend.token_logprobs(hidden, head, targets)

        def textbook(hidden: Tensor = hidden, targets: Tensor = targets) -> Tensor:
            logits = torch.log_softmax(hidden @ head.T, dim=1)
            return logits.gather(1, targets[:, None])

        fast, slow = medians(ours, textbook)
        more = f"peak memory {_peak_mib(ours):.0f} MiB against {_peak_mib(textbook):.0f}"
        row(f"log-probability, {tokens} tokens", fast, tokens, "logits, log_softmax", slow, more)


def _peak_mib(work: Callable[[], object]) -> float:
    """Return how far the process's memory rises while work runs (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    except OSError:
        return float("nan")
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    torch.manual_seed(0)
    backend, base = open_backend("cpu"), weights()
    print(
        f"{PARAMETERS / 1e6:.1f} million parameters, {torch.get_num_threads()} threads; "
        "ns are per parameter (and member), below the line per row or token\n"
    )
    full_members(backend, base)
    updates(backend, base)
    packing(base)
    print()
    products(backend)
    log_probabilities(backend)


if __name__ == "__main__":
    main()

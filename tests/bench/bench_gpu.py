"""The Triton kernels against the roofline of the card that is there; says so when there is none.

Weights are one MLP layer of an 8B model (14336 × 4096, bfloat16). Bandwidth and peak are measured
in the same run: a copy of 1 GiB and torch's bfloat16 product. The table is printed and kept as
.quickset/bench_gpu_<card>.md, so that figures never stand without their card.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from kernels.change import FULL_NOISES, Address, Change, MemberNoise, Span
from kernels.contract import Backend
from kernels.model.layers import PlainLayer
from kernels.open import open_backend

HEIGHT, WIDTH, VOCABULARY = 14336, 4096, 128256
PAIRS = 32
COEFFICIENTS = tuple((37 * pair) % 511 - 255 for pair in range(PAIRS))
HEAD = "| kernel | time | limit | share of limit | against |\n|---|---|---|---|---|"


def seconds(work: Callable[[], object]) -> float:
    """Return the median seconds of a warm call on the device."""
    from triton.testing import do_bench

    return float(do_bench(work, return_mode="median")) * 1e-3


def line(name: str, time_s: float, limit_s: float, bound: str, against: str = "") -> str:
    """Format one kernel: its time beside the time that its bound allows."""
    return (
        f"| {name} | {time_s * 1e6:.1f} µs | {limit_s * 1e6:.1f} µs ({bound}) "
        f"| {limit_s / time_s:.0%} | {against} |"
    )


def passes(backend: Backend, bandwidth: float) -> Iterator[str]:
    """Everything that passes over weights once: bound by memory."""
    base = torch.randn(HEIGHT, WIDTH, device="cuda", dtype=torch.bfloat16) * 0.02
    master = torch.zeros(HEIGHT, WIDTH, device="cuda", dtype=torch.int32)
    here = Address(7, 3)
    member, rank1 = MemberNoise(here, -9), Change(here, COEFFICIENTS, 1)
    full, normal = (Change(here, COEFFICIENTS, 1, noise) for noise in FULL_NOISES)
    normal_member = MemberNoise(here, -9, "normal")
    cases: list[tuple[str, int, Callable[[], object]]] = [
        ("full-rank member", 4, lambda: backend.full_member(base, member, 5)),
        ("normal member", 4, lambda: backend.full_member(base, normal_member, 5)),
        ("rank-1 update", 8, lambda: backend.accumulate(master, rank1)),
        ("rank-1 advance", 12, lambda: backend.advance(master, base, rank1, exponent=-24)),
        ("full-rank advance", 12, lambda: backend.advance(master, base, full, exponent=-24)),
        ("normal advance", 12, lambda: backend.advance(master, base, normal, exponent=-24)),
        ("digest", 4, lambda: backend.digest(master)),
        ("weights", 8, lambda: backend.materialise(base, master, exponent=-24)),
        ("moments", 2, lambda: backend.moments(base)),
    ]
    for name, bytes_each, work in cases:
        limit = bytes_each * base.numel() / bandwidth
        yield line(name, seconds(work), limit, f"{bytes_each} bytes a parameter")


def products(backend: Backend, peak: float) -> Iterator[str]:
    """Linear layers of many members: bound by the product that they share."""
    weight = torch.randn(HEIGHT, WIDTH, device="cuda", dtype=torch.bfloat16) * 0.02
    layer = PlainLayer(weight)
    for members in (1, 8, 32):
        tokens = 128
        x = torch.randn(members, tokens, WIDTH, device="cuda", dtype=torch.bfloat16)
        rows, columns = (
            backend.signs(Address(1, 1), Span(side, count), pairs=members)
            for side, count in ((0, HEIGHT), (1, WIDTH))
        )

        def ours(x: Tensor = x, rows: Tensor = rows, columns: Tensor = columns) -> Tensor:
            return backend.member_linear(x, layer, rows, columns, sigma_log2=-9)

        def plain(x: Tensor = x) -> Tensor:
            return torch.nn.functional.linear(x, weight)

        ours_s, plain_s = seconds(ours), seconds(plain)
        limit = 2 * members * tokens * HEIGHT * WIDTH / peak
        against = f"{ours_s / plain_s:.2f}× the plain layer"
        yield line(f"linear, {members} members × {tokens}", ours_s, limit, "product", against)


def scores(backend: Backend, peak: float) -> Iterator[str]:
    """Log-probabilities without logits, against with."""
    tokens = 4096
    hidden = torch.randn(tokens, WIDTH, device="cuda", dtype=torch.bfloat16)
    head = torch.randn(VOCABULARY, WIDTH, device="cuda", dtype=torch.bfloat16) * 0.02
    targets = torch.randint(0, VOCABULARY, (tokens,), device="cuda")

    def textbook() -> Tensor:
        logits = torch.log_softmax((hidden @ head.T).float(), dim=1)
        return logits.gather(1, targets[:, None])

    def ours() -> Tensor:
        return backend.token_logprobs(hidden, head, targets)

    ours_s, textbook_s = seconds(ours), seconds(textbook)
    memory = " MiB against ".join(f"{_peak_mib(work):.0f}" for work in (ours, textbook))
    against = f"{ours_s / textbook_s:.2f}× logits and log_softmax; peak {memory} MiB"
    limit = 2 * tokens * VOCABULARY * WIDTH / peak
    yield line(f"log-probability, {tokens} tokens", ours_s, limit, "product", against)


def _bandwidth() -> float:
    """Measure bytes a second of a copy."""
    source = torch.empty(2**28, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds(lambda: target.copy_(source))


def _peak() -> float:
    """Measure floating-point operations a second of a large product."""
    square = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    return 2 * 8192**3 / seconds(lambda: square @ square)


def _peak_mib(work: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


@torch.inference_mode()
def main() -> None:
    """Print and keep the table."""
    if not torch.cuda.is_available():
        print(
            "no CUDA or ROCm device: see `make bench-gpu-static` for what can be read without one"
        )
        return
    card = torch.cuda.get_device_name()
    backend, bandwidth, peak = open_backend("triton", "cuda"), _bandwidth(), _peak()
    lines = [
        f"{card}: copying {bandwidth / 1e9:.0f} GB/s, bfloat16 product {peak / 1e12:.0f} TFLOP/s\n",
        HEAD,
        *passes(backend, bandwidth),
        *products(backend, peak),
        *scores(backend, peak),
    ]
    print("\n".join(lines))
    kept = Path(".quickset") / f"bench_gpu_{card.replace(' ', '_').replace('/', '_')}.md"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

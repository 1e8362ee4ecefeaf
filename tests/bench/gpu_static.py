"""What the GPU kernels compile to, read from the machine code; no GPU is needed.

Compiles every kernel of kernels.gpu ahead of time for four architectures and prints, for each:
registers, spills, shared memory, width of global loads and stores, and instructions per
parameter by kind, beside the counted minimum; and for two cards the time that memory, integer
units and instruction issue set, the longest of which bounds the kernel.

    python -m tests.bench.gpu_static [kernel]

Figures are for one word of noise, 32 pairs of signs or 2 of normal deviates: a loop over further
words counts once.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from kernels import normal
from kernels.gpu import logprob, members, noise, update
from kernels.gpu import moments as variance
from kernels.gpu.launch import TILE
from kernels.gpu.tuning import LINEAR, LOGPROB

TARGETS = [
    GPUTarget("cuda", 80, 32),
    GPUTarget("cuda", 90, 32),
    GPUTarget("cuda", 100, 32),
    GPUTarget("hip", "gfx942", 64),
]
TOOLS = Path(triton.__file__).parent / "backends/nvidia/bin"


@dataclass(frozen=True)
class Case:
    """One kernel in one of its uses.

    elements: parameters that a program works on, None where the work is a product
    bytes_each: memory that a parameter must cross; minimum: instructions it cannot do without,
        counted by hand, with the sum spelled out
    """

    name: str
    kernel: Any
    signature: str
    constants: dict[str, Any]
    elements: int | None = None
    bytes_each: float = 0.0
    minimum: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Code:
    """What was read from the machine code of one case on one target."""

    registers: int
    spills: int
    shared: int
    threads: int
    loads: Counter[int]
    stores: Counter[int]
    kinds: Counter[str]


@dataclass(frozen=True)
class Card:
    """Published limits (NVIDIA's A100 and H100 SXM white papers).

    lanes: per multiprocessor and clock
    """

    name: str
    bytes_s: float
    multiprocessors: int
    hertz: float
    integer_lanes: int = 64
    issue_lanes: int = 128


CARDS = {
    80: Card("A100", 2.039e12, 108, 1.41e9, issue_lanes=128),
    90: Card("H100", 3.35e12, 132, 1.98e9),
}

# Counted by hand, per parameter. Philox: 10 rounds of two wide products and two three-input xors
# for four elements.
PHILOX = (20 + 20) / 4
# mix: three folds of one xor, two 64-bit products (one wide, two narrow); the index, the 64-bit
# sum, and zeros left out (one test, two selections).
DIGEST = 3 + 2 * 3 + 1 + 2 + 3
# base and K to double, multiply-add, back (5), K = 0 ? base (1), to bfloat16: the last bit, the
# sum, the shift, half a packing (3.5); without the sign, maximum (2).
ROUND = 5 + 1 + 3.5 + 2
# the sum as an integer; wide product with K; both signs, their difference, maximum
ADD = 1 + 1 + 4
# words with the mask of negative pairs; 16 shifts, masks and products; the upper half, the sum
FULL_SUM = 1 + 16 * 3 + 2
# widen; the sign's bit to its place, into σ; addition; mask; to bfloat16
MEMBER = 1 + 2 + 1 + 1 + 3.5
# a place in the table from the word (2), its address (2), its load
DEVIATE = 2 + 2 + 1
# two deviates, each to a product that is added
NORMAL_SUM = 2 * (DEVIATE + 1)
# step times the sum (in ADD), half a unit, the sign, the shift of 64 bits
WHOLE_UNITS = 2 + 1 + 2
# widen; a deviate to float; product, addition; 0 ? base; mask; to bfloat16
NORMAL_MEMBER = 1 + DEVIATE + 1 + 2 + 2 + 1 + 3.5

UPDATE = "*i32 *i16 *i16 {} *fp16 *i8 *i8 *i32 *i64 *i32 i32 i32 i32 i32 fp32 i32 i32 i32"


def _member(name: str, *, is_normal: bool, minimum: float) -> Case:
    return Case(
        name, members.full_member_kernel,
        "*i16 *i16 *i8 *i8 *i8 i32 i32 i32 i32 i32 i32 i32 i32",
        {"NORMAL": is_normal, "MASK_ROWS": True, "MASK_COLUMNS": False, "WHOLE": True, **TILE},
        TILE["HEIGHT"] * TILE["WIDTH"], 4, PHILOX + minimum, {"num_warps": 4},
    )  # fmt: skip


def _update(
    name: str, noise: int, *, weights: bool, minimum: float, bytes_each: float, fraction: int = 0
) -> Case:
    constants = {
        "NOISE": noise, "FRACTION_LOG2": fraction, "MASK_ROWS": True, "MASK_COLUMNS": False,
        "WEIGHTS": weights, "EVEN": True, "WHOLE": True, **TILE,
    }  # fmt: skip
    return Case(
        name, update.update_kernel, UPDATE.format("*i8" if noise == 3 else "*fp16"), constants,
        TILE["HEIGHT"] * TILE["WIDTH"], bytes_each, minimum, {"num_warps": 4},
    )  # fmt: skip


CASES = [
    Case(
        "words of 32 pairs", noise.words_kernel, "*i32 i32 i32 i32 i32",
        {"SIDE": 0, "BLOCK": 1024}, 1024, 4, PHILOX + 0.25, {"num_warps": 4},
    ),
    Case(
        "chosen signs", noise.chosen_kernel, "*i8 *i32 i32 i32 i32 i32",
        {"SIDE": 0, "BLOCK": 1024}, 1024, 1, PHILOX + 3, {"num_warps": 4},
    ),
    _member("full-rank member, bf16", is_normal=False, minimum=MEMBER),
    _member("normal member, bf16", is_normal=True, minimum=NORMAL_MEMBER),
    _update("digest", 0, weights=False, minimum=DIGEST, bytes_each=4),
    _update("round, digest", 0, weights=True, minimum=DIGEST + ROUND, bytes_each=8),
    _update("rank-1 update, digest", 1, weights=False, minimum=ADD + DIGEST, bytes_each=8),
    _update(
        "rank-1 update, round, digest", 1, weights=True, minimum=ADD + ROUND + DIGEST,
        bytes_each=12,
    ),
    _update(
        "full-rank update, round, digest", 2, weights=True,
        minimum=PHILOX + FULL_SUM + ADD - 1 + ROUND + DIGEST, bytes_each=12,
    ),
    _update(
        "normal update, round, digest", 3, weights=True,
        minimum=PHILOX + NORMAL_SUM + WHOLE_UNITS + ADD - 1 + ROUND + DIGEST, bytes_each=12,
        fraction=normal.FRACTION_LOG2,
    ),
    _update(
        "directed update, round, digest", 1, weights=True,
        minimum=WHOLE_UNITS + ADD + ROUND + DIGEST, bytes_each=12, fraction=12,
    ),
    Case(
        "moments", variance.moments_kernel, "*fp32 *fp32 *bf16 i32 i32 i32", variance.TILE,
        variance.TILE["TOKENS"] * variance.TILE["UNITS"], 2, 1 + 3, {"num_warps": 4},
    ),
    *(
        Case(
            f"member linear {'×'.join(str(n) for n in config.kwargs.values())}",
            members.member_linear_kernel.fn,
            "*bf16 *bf16 *bf16 *bf16 *fp32 *i32 *i32 *i8 i32 i32 i32 i32 i32",
            {"BIAS": False, "PACKED": True, "MASKED": True, **config.kwargs},
            options={"num_warps": config.num_warps, "num_stages": config.num_stages},
        )
        for config in LINEAR
    ),
    *(
        Case(
            f"log-probability {'×'.join(str(n) for n in config.kwargs.values())}",
            logprob.logprob_kernel.fn, "*fp32 *fp32 *fp32 *bf16 *bf16 *i64 i32 i32 i32 i32 i32",
            config.kwargs,
            options={"num_warps": config.num_warps, "num_stages": config.num_stages},
        )
        for config in LOGPROB
    ),
]  # fmt: skip


def build(case: Case, target: GPUTarget) -> Any:
    """Compile a case for a target, as a launch with sizes that are multiples of 16 would."""
    names = case.kernel.arg_names
    types = case.signature.split()
    signature = dict(zip(names, types, strict=False)) | dict.fromkeys(case.constants, "constexpr")
    whole = {"height", "width", "vocabulary", "units", "count"}
    aligned = {
        (place,): [["tt.divisibility", 16]]
        for place, name in enumerate(names)
        if signature[name].startswith("*") or name in whole
    }
    source = ASTSource(
        fn=case.kernel, signature=signature, constexprs=case.constants, attrs=aligned
    )
    options = {"enable_fp_fusion": False, **case.options}
    return triton.compile(source, target=target, options=options)


def read(compiled: Any, target: GPUTarget) -> Code:
    """Read a compiled kernel's machine code."""
    threads = compiled.metadata.num_warps * target.warp_size
    if target.backend == "hip":
        return _read_amd(compiled.asm["amdgcn"], compiled.metadata.shared, threads)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        listing = _run("nvdisasm", "-c", file.name)
        usage = _run("cuobjdump", "-res-usage", file.name)
    registers = re.findall(r"REG:(\d+)", usage)
    return _read_nvidia(listing, int(registers[-1]), compiled.metadata.shared, threads)


def _run(tool: str, *arguments: str) -> str:
    command = [str(TOOLS / tool), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _read_nvidia(listing: str, registers: int, shared: int, threads: int) -> Code:
    operations = re.findall(
        r"^\s+/\*[0-9a-f]+\*/\s+(?:\{\s*)?(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", listing, re.M
    )
    loads: Counter[int] = Counter()
    stores: Counter[int] = Counter()
    kinds: Counter[str] = Counter()
    for operation in operations:
        name, *parts = operation.split(".")
        if name in ("NOP", "BRA", "EXIT"):
            continue
        if name in ("LDG", "STG", "LDGSTS"):
            width = next((int(p) for p in parts if p in ("64", "128")), 32)
            width = next((int(p[1:]) for p in parts if p in ("U8", "S8", "U16", "S16")), width)
            (stores if name == "STG" else loads)[width] += 1
        kinds[_kind(name)] += 1
    spills = sum(op.split(".")[0] in ("LDL", "STL") for op in operations)
    return Code(registers, spills, shared, threads, loads, stores, kinds)


def _kind(name: str) -> str:
    if name.startswith(("LD", "ST", "ATOM", "RED", "UTMA", "UBLK")) and name != "LDC":
        return "memory"
    if "MMA" in name or name.startswith("LDSM"):
        return "tensor"
    if name.startswith(("D", "F", "H", "MUFU", "I2F", "I2D")) and name not in ("FLO", "DEPBAR"):
        return "float"
    if name.startswith(("U", "S2", "LDC", "CS2R", "R2U", "BAR", "BSSY", "BSYNC", "WARP", "DEPBAR")):
        return "uniform"
    return "integer"


def _read_amd(listing: str, shared: int, threads: int) -> Code:
    def number(name: str) -> int:
        return int(re.findall(rf"\.{name}:\s+(\d+)", listing)[-1])

    loads: Counter[int] = Counter()
    stores: Counter[int] = Counter()
    kinds: Counter[str] = Counter()
    widths = {"byte": 8, "ubyte": 8, "ushort": 16, "short": 16, "dword": 32, "dwordx2": 64}
    widths |= {"dwordx3": 96, "dwordx4": 128}
    for name in re.findall(
        r"^\s+((?:v|s|global|buffer|ds|flat|scratch)_[a-z0-9_]+)", listing, re.M
    ):
        if name.startswith(("global_", "buffer_", "flat_", "ds_", "scratch_")):
            kinds["memory"] += 1
            found = re.search(r"_(load|store)_([a-z]+?(?:x\d)?)(?:_|$)", name)
            if found and not name.startswith(("ds_", "scratch_")):
                width = widths.get(found[2], 32)
                (stores if found[1] == "store" else loads)[width] += 1
        elif "mfma" in name:
            kinds["tensor"] += 1
        elif name.startswith("s_"):
            kinds["uniform"] += 1
        elif re.search(r"_f(16|32|64)|_cvt_", name):
            kinds["float"] += 1
        else:
            kinds["integer"] += 1
    spills = number("vgpr_spill_count") + number("sgpr_spill_count")
    return Code(number("vgpr_count"), spills, shared, threads, loads, stores, kinds)


def rows(wanted: str) -> Iterator[list[str]]:
    """Return the table, one case and target a row."""
    for case in (case for case in CASES if wanted in case.name):
        for target in TARGETS:
            code = read(build(case, target), target)
            each = (case.elements or 0) / code.threads
            work = sum(count for kind, count in code.kinds.items() if kind != "uniform")
            yield [
                case.name,
                f"sm_{target.arch}" if target.backend == "cuda" else str(target.arch),
                str(code.registers),
                str(code.spills),
                str(code.shared),
                _widths(code.loads),
                _widths(code.stores),
                *(f"{code.kinds[kind] / each:.2f}" if each else str(code.kinds[kind])
                  for kind in ("memory", "integer", "float", "tensor")),
                f"{work / each:.1f}" if each else str(work),
                f"{case.minimum:.1f}" if each else "",
                f"{case.bytes_each:g}" if each else "",
                _bound(case, target, code.kinds, each),
            ]  # fmt: skip


def _bound(case: Case, target: GPUTarget, kinds: Counter[str], each: float) -> str:
    """Say what bounds a parameter on a known card, and the other limits behind it."""
    card = CARDS.get(target.arch) if each else None
    if card is None:
        return ""
    clock = card.multiprocessors * card.hertz
    limits = {
        "memory": case.bytes_each / card.bytes_s,
        "integer": kinds["integer"] / each / (card.integer_lanes * clock),
        "issue": kinds.total() / each / (card.issue_lanes * clock),
    }
    ordered = sorted(limits.items(), key=lambda limit: -limit[1])
    (first, most), *rest = ordered
    others = ", ".join(f"{name} {time * 1e12:.1f}" for name, time in rest)
    return f"{card.name} {first} {most * 1e12:.1f} ps ({others})"


def _widths(counted: Counter[int]) -> str:
    return " ".join(f"{count}×{width}" for width, count in sorted(counted.items())) or "–"


HEAD = [
    "kernel", "target", "regs", "spills", "shared B", "loads × bits", "stores × bits",
    "memory", "integer", "float", "tensor", "all", "minimum", "bytes", "bound",
]  # fmt: skip


def main() -> None:
    """Print the table in Markdown."""
    print("Instructions are per parameter (32 pairs), or per thread where the work is a product.\n")
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "---|" * len(HEAD))
    for row in rows(" ".join(sys.argv[1:])):
        print("| " + " | ".join(row) + " |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

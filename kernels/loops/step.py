"""New tokens, one a row, through all blocks of a model, in one compiled walk on several threads.

A step of few rows is thousands of small products and sums, and what lies between them (a call of
Python, a thread that wakes) takes longer than they do. So a step is one call a thread: each does
its share of every product, and meets the others where it needs what they have done (six times a
block). No sum is shared between threads, so their number changes no bit, nor does it matter to a
row what other rows are there.

Rows may follow each other in one sequence, as those of a prompt do, or belong to many. They may
belong to several versions of one model, a run of rows to each. Where the versions have a
weight in common, it is read once for the rows of all of them.

Knows nothing of torch's modules, tokens or the names of versions.
"""

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from kernels.cpu.compiled import Array, compiled, inlined, vectorised
from kernels.loops.attention import LOG2_E, attend_rows, power_of_two, write_row
from kernels.loops.lanes import HALF
from kernels.loops.product import half_strips

# Columns of a plan: one line a layer, which is a weight as half_strips takes it.
KIND, WEIGHTS, OUT, IN, BLOCK = range(5)
# Lines of the plan, in each block; after the last block comes the head.
QUERY, KEY, VALUE, OUTPUT, GATE, UP, DOWN = range(7)
LAYERS: Final = 7

# Looks at the others before the core is offered to whoever waits: some 10 µs, about as long as the
# longest work between two meetings differs between threads.
_LOOKS = 5_000

_yield_core = types.ExternalFunction("sched_yield", types.int32())


@intrinsic  # type: ignore[untyped-decorator]
def _add_one(_context: Any, address: Any) -> Any:
    """Add one to the int64 at an address, seen by all threads in one order."""

    def write(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        counter = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", counter, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(address), write


@intrinsic  # type: ignore[untyped-decorator]
def _look(_context: Any, address: Any) -> Any:
    """Read the int64 at an address, and after it what others wrote before they changed it."""

    def write(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        counter = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(counter, "acquire", 8)

    return types.int64(address), write


@compiled
def _meet(counter: int, goal: int) -> None:
    """Say that this thread has come so far, and wait for the others."""
    _add_one(counter)
    looks = 0
    while _look(counter) < goal:
        looks += 1
        if looks > _LOOKS:
            _yield_core()


@vectorised("void(float32[:,::1], float32[::1], float32, float32[:,::1], UniTuple(int64, 2))")
def _norm(x: Array, weight: Array, epsilon: np.float32, out: Array, rows: tuple[int, int]) -> None:
    """Divide each of some rows by its root mean square (Zhang & Sennrich 2019, eq. 4)."""
    for row in range(rows[0], rows[1]):
        squares = np.float32(0.0)
        for j in range(x.shape[1]):
            squares += x[row, j] * x[row, j]
        scale = np.float32(1.0) / np.sqrt(squares / np.float32(x.shape[1]) + epsilon)
        for j in range(x.shape[1]):
            out[row, j] = weight[j] * (x[row, j] * scale)


@vectorised("void(float32[::1], float32[::1])")
def _gate(gate: Array, up: Array) -> None:
    """Replace gate by silu(gate) · up; in one dimension, or it isn't vector code."""
    for j in range(len(gate)):
        e = power_of_two(-gate[j] * LOG2_E)
        gate[j] = gate[j] / (np.float32(1.0) + e) * up[j]


@compiled
def _gated(gate: Array, up: Array, first: int, last: int) -> None:
    """Gate some outputs of every row."""
    for row in range(gate.shape[0]):
        _gate(gate[row, first:last], up[row, first:last])


@vectorised("void(float32[::1], float32[::1], float32[::1])")
def _turn(x: Array, cosine: Array, sine: Array) -> None:
    """Rotate the planes of one head (Su et al. 2021, eq. 15), in Hugging Face's layout."""
    half = x.shape[0] // 2
    for j in range(half):
        first, second = x[j], x[half + j]
        x[j] = first * cosine[j] - second * sine[j]
        x[half + j] = second * cosine[half + j] + first * sine[half + j]


@inlined
def _share(count: int, thread: int, threads: int) -> tuple[int, int]:
    return count * thread // threads, count * (thread + 1) // threads


@compiled
def _normed(x: Array, weights: Array, epsilon: np.float32, out: Array, edges: Array) -> None:
    """Norm the rows of each version by its own weights, (versions, width)."""
    for version in range(len(weights)):
        _norm(x, weights[version], epsilon, out, (edges[version], edges[version + 1]))


@compiled
def _product(
    lines: Array, x: Array, out: Array, edges: Array, scratch: Array, first: int, last: int
) -> None:
    """Multiply the rows of each version by its own weight; versions that share one, together.

    lines: (versions, 5), a line of each version's plan; first, last: half strips
    """
    version = 0
    while version < len(lines):
        line, row = lines[version], edges[version]
        while version < len(lines) and lines[version, WEIGHTS] == line[WEIGHTS]:
            version += 1
        half_strips(
            line[KIND], line[WEIGHTS], x.ctypes.data + row * line[IN] * 4, edges[version] - row,
            line[IN], out.ctypes.data + row * line[OUT] * 4, line[OUT], line[BLOCK],
            scratch.ctypes.data, first, last,
        )  # fmt: skip


@compiled
def _add(hidden: Array, more: Array, first: int, last: int) -> None:
    for row in range(hidden.shape[0]):
        for j in range(first * HALF, last * HALF):
            hidden[row, j] += more[row, j]


@compiled
def _projected(
    plans: Array, x: Array, q: Array, k: Array, v: Array, edges: Array, scratch: Array,
    thread: int, threads: int,
) -> None:  # fmt: skip
    """Do a thread's share of queries, keys and values, which are one row of half strips."""
    sizes = plans[QUERY, 0, OUT] // HALF, plans[KEY, 0, OUT] // HALF, plans[VALUE, 0, OUT] // HALF
    first, last = _share(sizes[0] + sizes[1] + sizes[2], thread, threads)
    _product(plans[QUERY], x, q, edges, scratch, min(first, sizes[0]), min(last, sizes[0]))
    first, last = max(first - sizes[0], 0), max(last - sizes[0], 0)
    _product(plans[KEY], x, k, edges, scratch, min(first, sizes[1]), min(last, sizes[1]))
    first, last = max(first - sizes[1], 0), max(last - sizes[1], 0)
    _product(plans[VALUE], x, v, edges, scratch, first, last)


@compiled
def walk(
    thread: int, threads: int, counter: Array, plans: Array, edges: Array,
    wanted: Array, wanted_edges: Array, norms: Array,
    epsilon: np.float32, hidden: Array, cosine: Array, sine: Array, memory: Array, tables: Array,
    lengths: Array, scale: np.float32, normed: Array, unpacked: Array, q: Array, new: Array,
    seen: Array, more: Array, gate: Array, up: Array, scores: Array, logits: Array,
) -> None:  # fmt: skip
    """Do one thread's share of a step; all threads must run at once.

    counter: (1,) int64, zero, of all threads; plans: (7 · blocks + 1, versions, 5) int64
    edges: (versions + 1,) int64, where the rows of each version begin, and their number
    wanted: (n,) int64, the rows whose logits are wanted, in order; wanted_edges: theirs
    norms: (2 · blocks + 1, versions, width) float32
    hidden: (rows, width), the embeddings, which it replaces
    cosine, sine: (rows, head_dim); memory, tables, lengths, scale: as attend_rows
    normed, unpacked (deepest, HALF), scores: this thread's own scratch; others are for all of them
    q, seen: (rows, heads, head_dim); new: (2, rows, kv_heads, head_dim); gate, up: (rows, inner)
    logits: (n, vocabulary), the result
    """
    blocks, met, meeting = len(norms) // 2, 0, counter.ctypes.data
    rows, kv_heads, group = len(hidden), new.shape[2], q.shape[1] // new.shape[2]
    for block in range(blocks):
        layers = plans[LAYERS * block : LAYERS * (block + 1)]
        _normed(hidden, norms[2 * block], epsilon, normed, edges)
        _projected(layers, normed, q, new[0], new[1], edges, unpacked, thread, threads)
        met += threads
        _meet(meeting, met)
        # a row may see others of this step, so all are written before any is read
        for pair in range(thread, rows * kv_heads, threads):
            row, kv = pair // kv_heads, pair % kv_heads
            _turn(new[0, row, kv], cosine[row], sine[row])
            write_row(row, kv, new, memory, block, tables, lengths)
            for head in range(kv * group, (kv + 1) * group):
                _turn(q[row, head], cosine[row], sine[row])
        met += threads
        _meet(meeting, met)
        attend_rows(
            thread, rows * kv_heads, threads, q, memory, block, tables, lengths, scale, seen, scores
        )
        met += threads
        _meet(meeting, met)
        first, last = _share(layers[OUTPUT, 0, OUT] // HALF, thread, threads)
        _product(layers[OUTPUT], seen, more, edges, unpacked, first, last)
        _add(hidden, more, first, last)
        met += threads
        _meet(meeting, met)
        _normed(hidden, norms[2 * block + 1], epsilon, normed, edges)
        first, last = _share(layers[GATE, 0, OUT] // HALF, thread, threads)
        _product(layers[GATE], normed, gate, edges, unpacked, first, last)
        _product(layers[UP], normed, up, edges, unpacked, first, last)
        _gated(gate, up, first * HALF, last * HALF)
        met += threads
        _meet(meeting, met)
        first, last = _share(layers[DOWN, 0, OUT] // HALF, thread, threads)
        _product(layers[DOWN], gate, more, edges, unpacked, first, last)
        _add(hidden, more, first, last)
        met += threads
        _meet(meeting, met)
    _normed(hidden, norms[2 * blocks], epsilon, normed, edges)
    for place in range(len(wanted)):
        normed[place] = normed[wanted[place]]
    head = plans[LAYERS * blocks]
    first, last = _share(head[0, OUT] // HALF, thread, threads)
    _product(head, normed, logits, wanted_edges, unpacked, first, last)

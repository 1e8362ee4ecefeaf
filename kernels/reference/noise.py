"""Where all randomness comes from: an address in, a sign or deviate out. The plain NumPy version.

Turns (generation key, tensor, side, element, pair) into a sign or a normal deviate with
Philox4x32-10, a counter-based generator: no state, no order, so any process, device or shard that
knows the address computes the same. One 32-bit output word holds the signs of 32 pairs at one
element, or the deviates of two.

    key      the generation's 64-bit key, low word first
    counter  (element >> 2, pair >> 5, tensor, side)
    sign     bit (pair & 31) of output word (element & 3): +1 for 0, -1 for 1

    counter  (element >> 2, pair >> 1, tensor, side + 16)
    deviate  the upper 13 of 16 bits, the word's lower half for even pairs, index the table

Knows nothing of weights (kernels.change.Span says what an element is).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kernels.change import NORMAL, WORD, Address, Span
from kernels.normal import BITS, deviates

Words = npt.NDArray[np.uint32]
Signs = npt.NDArray[np.int8]
Deviates = npt.NDArray[np.int8]
Wide = npt.NDArray[np.uint64]

# Multipliers and key increments of Philox4x32 (Salmon et al. 2011, table 2 and sec. 3.3)
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
INCREMENTS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


def key_words(key: int) -> tuple[int, int]:
    """Split a 64-bit key into its two words, low word first.

    >>> [hex(word) for word in key_words(0x0123456789ABCDEF)]
    ['0x89abcdef', '0x1234567']
    """
    return key % WORD, key >> 32


def philox(counter: tuple[npt.ArrayLike, ...], key: int) -> tuple[Words, Words, Words, Words]:
    """Run Philox4x32-10 on every counter (Salmon et al. 2011, sec. 3.3).

    counter: four words, each a uint32 or an array of them; they broadcast
    key: 64 bits, low word first
    returns: four output words, of the counters' common shape

    >>> [hex(int(word)) for word in philox((0, 0, 0, 0), 0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(word, np.uint64) for word in counter))
    k0, k1 = key_words(key)
    low, half = np.uint64(WORD - 1), np.uint64(32)
    for _ in range(ROUNDS):
        product0 = np.uint64(MULTIPLIERS[0]) * c0
        product1 = np.uint64(MULTIPLIERS[1]) * c2
        c0, c1, c2, c3 = (
            (product1 >> half) ^ c1 ^ np.uint64(k0),
            product1 & low,
            (product0 >> half) ^ c3 ^ np.uint64(k1),
            product0 & low,
        )
        k0, k1 = (k0 + INCREMENTS[0]) % WORD, (k1 + INCREMENTS[1]) % WORD
    w0, w1, w2, w3 = (word.astype(np.uint32) for word in (c0, c1, c2, c3))
    return w0, w1, w2, w3


def signs(address: Address, span: Span, *, pairs: int) -> Signs:
    """Return the signs of pairs 0..pairs-1 at the elements of a span.

    returns: (pairs, count) int8, each +1 or -1

    >>> signs(Address(0, 0), Span(side=0, count=8), pairs=2).tolist()
    [[-1, -1, 1, 1, 1, -1, -1, -1], [1, 1, 1, 1, 1, -1, -1, -1]]
    """
    return chosen_signs(address, span, range(pairs))


def chosen_signs(address: Address, span: Span, numbers: Sequence[int]) -> Signs:
    """Return the signs of some pairs at the elements of a span.

    returns: (len(numbers), count) int8, each +1 or -1

    >>> chosen_signs(Address(0, 0), Span(side=0, count=4), [1, 0]).tolist()
    [[1, 1, 1, 1], [-1, -1, 1, 1]]
    """
    pair, element = _grid(span, numbers)
    word = _words(address, span.side, element, pair >> np.uint64(5))
    bit = (word >> (pair & np.uint64(31))) & np.uint64(1)
    return np.where(bit == 0, np.int8(1), np.int8(-1))


def normals(address: Address, span: Span, *, pairs: int) -> Deviates:
    """Return the normal deviates of pairs 0..pairs-1 at the elements of a span.

    returns: (pairs, count) int8, in units of 2⁻⁵ (kernels.normal)

    >>> normals(Address(0, 0), Span(side=2, count=4), pairs=2).tolist()
    [[29, 22, 42, 1], [-8, -71, -68, 62]]
    """
    pair, element = _grid(span, range(pairs))
    words = _words(address, span.side + NORMAL, element, pair >> np.uint64(1))
    upper = words >> (np.uint64(16) * (pair & np.uint64(1)) + np.uint64(16 - BITS))
    found: Deviates = deviates()[upper & np.uint64(2**BITS - 1)]
    return found


def _grid(span: Span, pairs: Sequence[int]) -> tuple[Wide, Wide]:
    """Return pairs as a column, and elements as a row."""
    elements = np.arange(span.first, span.first + span.count, dtype=np.uint64)
    return np.asarray(pairs, dtype=np.uint64)[:, None], elements[None, :]


def _words(address: Address, side: int, element: Wide, group: Wide) -> Wide:
    """Return the word of each group at each element."""
    words = philox((element >> np.uint64(2), group, address.tensor, side), address.key)
    place = (element & np.uint64(3)).astype(np.int64)[None]
    found: Wide = np.take_along_axis(np.stack(words).astype(np.uint64), place, axis=0)[0]
    return found

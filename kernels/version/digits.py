"""Small integers as text: a character each, the 64 digits of base64 for −32 to 31.

So a factor of directed noise is as many characters as it has units, in a recipe that is JSON.
"""

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor

_DIGITS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_ZERO: Final = 32
_VALUES: Final = torch.full((256,), 127, dtype=torch.int8)
_VALUES[list(_DIGITS)] = torch.arange(64, dtype=torch.int8) - _ZERO


def write(values: Tensor) -> list[str]:
    """Write rows of small integers: (rows, count), −32 to 31.

    >>> write(torch.tensor([[-32, 0, 31]]))
    ['Ag_']
    """
    digits = torch.tensor(list(_DIGITS), dtype=torch.uint8)
    return [bytes(digits[row.long() + _ZERO].tolist()).decode() for row in values.cpu()]


def read(texts: Iterable[str]) -> Tensor:
    """Read rows of as many integers each: (rows, count) int8.

    raises: ValueError for another character, or for rows of two lengths

    >>> read(["Ag_"]).tolist()
    [[-32, 0, 31]]
    """
    rows = [torch.frombuffer(bytearray(text, "ascii"), dtype=torch.uint8) for text in texts]
    if len({len(row) for row in rows}) != 1:
        raise ValueError("factors of one tensor have one length")
    values = _VALUES[torch.stack(rows).long()]
    if bool((values == 127).any()):
        raise ValueError("a factor has a character that is no digit")
    return values

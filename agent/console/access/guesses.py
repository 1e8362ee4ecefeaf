"""Counts wrong keys, so that a guesser must wait, and nobody else.

Counted by the address that sent them (an IPv6 address by its network of 64 bits, which one machine
has to itself), by the wrong key itself, wherever it comes from, and, where somebody who is logged
in proves a key again, by their name. Bounded: of very many guessers the ones that have been quiet
the longest are forgotten.

Knows nothing of keys that are right, nor of sessions.
"""

import hashlib
import ipaddress
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final

from agent.errors import BusyError

# A person mistypes a few times; a guess at 256 random bits needs far more than this lets through.
MAX_FAILURES: Final = 10
WINDOW_S: Final = 60.0
# Of addresses, keys and names together; each costs about a kilobyte.
MAX_TRACKED: Final = 4096


class Guesses:
    """Wrong keys by what they are counted under."""

    def __init__(
        self, clock: Callable[[], float], *, told: Callable[[str], None] = lambda _: None
    ) -> None:
        """Begin with none. told: takes what is locked out, once for each time that it is."""
        self._clock, self._told = clock, told
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def prove_few(self, sources: Sequence[str]) -> None:
        """Raises: BusyError while one of the sources has sent too many wrong keys."""
        for source in sources:
            wrong = self._wrong.get(source)
            if wrong is None or len(wrong) < MAX_FAILURES:
                continue
            wait_s = math.ceil(WINDOW_S - (self._clock() - wrong[0]))
            if wait_s > 0:
                raise BusyError(
                    f"too many wrong keys: try again in {wait_s} seconds",
                    code="locked_out",
                    headers={"Retry-After": str(wait_s)},
                )

    def count(self, sources: Sequence[str]) -> None:
        """Note a wrong key under each of its sources."""
        now_s = self._clock()
        for source in sources:
            wrong = self._wrong.setdefault(source, deque(maxlen=MAX_FAILURES))
            wrong.append(now_s)
            self._wrong.move_to_end(source)
            if len(wrong) == MAX_FAILURES and now_s - wrong[0] < WINDOW_S:
                self._told(source)
        while len(self._wrong) > MAX_TRACKED:
            self._wrong.popitem(last=False)


def of_address(address: str | None) -> str:
    """Name an address to count under.

    >>> of_address("2001:db8::1") == of_address("2001:db8::2"), of_address("10.0.0.1")
    (True, 'address 10.0.0.1')
    """
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return f"address {address}"
    if found.version == 6:
        return f"address {ipaddress.ip_network((found, 64), strict=False)}"
    return f"address {found}"


def of_key(key: str) -> str:
    """Name a wrong key to count under, by the first digits of its hash."""
    return f"key {hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


def of_name(name: str) -> str:
    """Name an operator to count under."""
    return f"operator {name}"

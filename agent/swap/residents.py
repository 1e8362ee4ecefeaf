"""The versions in memory: which one serves, which one served before, which still answer requests.

A version is built aside from its chain of recipes, proved (digest of every recipe, finite weights,
frozen slices byte-equal to the base), and only then referred to; whatever fails leaves the serving
version as it is. A version stays while it serves, while it is the one to go back to, while it is on
trial, while it is lent, and while a request that began on it runs.

Knows nothing of the log; agent.swap.follow decides what to promote.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch

from agent.errors import NoPreviousError, SwapError, UnknownVersionError
from agent.swap.ahead import Ahead, Told
from agent.swap.book import Book
from kernels.contract import Backend
from kernels.errors import KernelError
from kernels.memory import give_back
from kernels.model.forward import Decoder
from kernels.version.build import Built, Source, build
from kernels.version.walk import Reached, Snapshots, keep
from streams.line.line import Line, Trial
from streams.line.variant import Variant
from streams.model.open import BaseModel
from streams.model.weights import weights_digest
from streams.records import Recipe

# What shall serve is built as decoding runs, on one core, which decoding leaves it (`building`):
# behind decoding it starved where several agents share few cores, and beside as many threads as
# there are cores a step waits for the slowest of them (BENCHMARKS).
BUILD_NICE = 0
LEND_NICE = 10  # what is only lent, to compare versions, yields to decoding

# Whether what is being carried out is decided still. Asked under the lock of what serves.
Stands = Callable[[], bool]


@dataclass(slots=True, eq=False)
class Resident:
    """A variant in memory and how many requests run on it."""

    variant: Variant
    decoder: Decoder
    users: int = 0


class Residents:
    """The versions of one line that this process holds. Any thread may call every method."""

    def __init__(
        self,
        base: BaseModel,
        backend: Backend,
        *,
        line: str = "main",
        snapshots: Snapshots | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin with the base serving.

        snapshots: short cuts along the ledger, read and written; None: the ledger alone
        clock: Unix seconds
        """
        self._clock = clock
        self._replies_ms: int | None = None
        self._base = base
        self.book = Book(base.name)  # what versions are made of; the log fills it
        resident = Resident(Variant(line, base.name), base.decoder)
        self._residents = {base.name: resident}
        self._line = Line(line, (base.name,))  # what has served here, not what is decided
        self._source = Source(base.decoder, backend, self.book.masks, snapshots)
        self._reached: Reached | None = None  # the last one built, to go on from
        self._lock = threading.Lock()
        self._building = False  # written by the builder's one thread
        self._builder = ThreadPoolExecutor(1, "build", _take_one_core, (BUILD_NICE,))
        self._ahead = Ahead(self._builder, self._build_ahead)
        self._lender = ThreadPoolExecutor(1, "lend", _take_one_core, (LEND_NICE,))

    @property
    def serving(self) -> str:
        """The version that new requests begin on."""
        return self._line.version

    @property
    def served(self) -> Sequence[str]:
        """The versions that have served here, oldest first, what was taken back left out."""
        return self._line.served

    @property
    def building(self) -> bool:
        """A version that shall serve is being built, on a core of its own."""
        return self._building

    @property
    def replies_ms(self) -> int | None:
        """When the first reply of what serves began, Unix milliseconds; None: none has."""
        return self._replies_ms

    @property
    def trial(self) -> Trial | None:
        """The candidate that answers its share here."""
        return self._line.trial

    @property
    def resident(self) -> list[str]:
        """The versions in memory."""
        with self._lock:
            return list(self._residents)

    def hold(self, assign: Callable[[Line], Variant]) -> Resident:
        """Keep what is assigned for a request, which must `release` it.

        assign: chooses from what serves at this moment; called under the lock
        raises: UnknownVersionError when it chooses what is not in memory
        """
        with self._lock:
            variant = assign(self._line)
            resident = self._residents.get(variant.version)
            if resident is None or resident.variant != variant:
                raise UnknownVersionError(f"{variant} is not in memory here")
            resident.users += 1
            if self._replies_ms is None and variant.version == self.serving:
                self._replies_ms = int(self._clock() * 1000)
            return resident

    def lend(self, version: str) -> Resident:
        """Keep a version in memory for somebody who must `release` it, built if it is not there.

        It is built by a thread of its own, so that no version that shall serve waits for it.

        raises: UnknownVersionError, SwapError
        """
        with self._lock:
            resident = self._residents.get(version)
            if resident is not None:
                resident.users += 1
                return resident
        built = self._lender.submit(self._build_aside, version).result()
        with self._lock:
            resident = self._residents.setdefault(version, built)
            resident.users += 1
            return resident

    def release(self, resident: Resident) -> None:
        """End a request's use of a version; the last one of an old version frees it."""
        with self._lock:
            resident.users -= 1
            self._prune()

    def promote(self, version: str, *, back: bool = False, stands: Stands = lambda: True) -> bool:
        """Build a version aside if it is not resident, prove it, then flip to it.

        back: it is gone back to: what served after it is none to go back to any more
        stands: asked right before the flip; what was taken back while it was built serves nobody
        returns: whether it was flipped to; False where it serves already, or does not stand
        raises: UnknownVersionError while a recipe or mask of its chain is missing, SwapError when
            a check fails; the version that served before serves on
        """
        with self._lock:
            if not stands():
                return False
            if version in self._residents:
                return self._flip(version, back=back)
        resident = self._made(version)
        with self._lock:
            if not stands():
                return False  # `prepare` lets it go, unless what came between leads to it
            self._residents.setdefault(version, resident)  # a request's end may have let it go
            flipped = self._flip(version, back=back)
        # Behind the flip: nobody waits for the disk.
        self._builder.submit(self._keep)
        return flipped

    def try_out(self, trial: Trial | None, *, stands: Stands = lambda: True) -> bool:
        """Let a candidate answer its share of the sessions from now on; None: none does.

        It is built aside and proved as every version is; replies that it has begun it ends.

        stands: asked right before; what was gone back from while it was built answers nobody
        returns: whether it does so; False where it does not stand
        raises: as `promote`; what answered before goes on
        """
        with self._lock:
            if not stands():
                return False
            if trial is None or trial.version in self._residents:
                self._try(trial)
                return True
        resident = self._made(trial.version)
        with self._lock:
            if not stands():
                return False
            self._residents.setdefault(trial.version, resident)
            self._try(trial)
            return True

    def prepare(self, recipe: Recipe | None, told: Told) -> None:
        """Build what may be decided for next without waiting for it, and let go of any other.

        recipe: what leads to it from a version that is known here; None: nothing may
        told: takes its version, and why it could not be built
        """
        with self._lock:
            self._prune()
            known = recipe is not None and recipe.version in self._residents
        self._ahead.want(None if known else recipe, told)

    def rollback(self) -> str:
        """Flip to the version that served before this one, which is resident, and give its name.

        raises: NoPreviousError when nothing has served before; as `promote` when it is asked for
            several steps back, whose version must be built again
        """
        with self._lock:
            previous = self._line.previous
            if previous is None:
                raise NoPreviousError("no version has served before this one")
        self.promote(previous, back=True)
        return previous

    def digest_of(self, version: str) -> str:
        """Name the bits that a resident version serves: SHA-256 of its tensors, as replay has it.

        raises: UnknownVersionError when it is not resident
        """
        with self._lock:
            resident = self._residents.get(version)
        if resident is None:
            raise UnknownVersionError(f"version {version} is not in memory here")
        return weights_digest(resident.decoder.model)

    def _try(self, trial: Trial | None) -> None:
        self._line = replace(self._line, trial=trial)
        self._prune()

    def _flip(self, version: str, *, back: bool) -> bool:
        if version == self.serving:
            if back:  # who goes back means the trial, too
                self._try(None)
            return False
        # Going back takes the later version out of the history, so that a second step goes
        # further back instead of forward again; as the line has it (streams.line.line).
        served = self._line.served
        if back and version in served:
            served = served[: len(served) - served[::-1].index(version)]
        else:
            served = (*served, version)
        # a change of what serves ends the trial, at the same moment
        self._line = replace(self._line, served=served, trial=None)
        self._replies_ms = None
        self._prune()
        return True

    def _prune(self) -> None:
        kept = {self._base.name, *self._line.served[-2:]}
        if self._line.trial is not None:
            kept.add(self._line.trial.version)
        for version in [v for v, r in self._residents.items() if v not in kept and not r.users]:
            del self._residents[version]

    def _made(self, version: str) -> Resident:
        """Return a version that was built ahead, or build it now."""
        built = self._ahead.take(version)
        if built is None:
            return self._builder.submit(self._made_once, version).result()
        return self._taken_in(version, built)

    def _made_once(self, version: str) -> Resident:
        """Build a version, unless it was built for somebody else while this order waited."""
        with self._lock:
            known = self._residents.get(version)
        return known or self._taken_in(version, self._build(version))

    def _taken_in(self, version: str, built: Built) -> Resident:
        self._reached = built.reached
        resident = Resident(Variant(self._line.name, version), built.decoder)
        with self._lock:
            return self._residents.setdefault(version, resident)

    @torch.inference_mode()
    def _build(self, version: str) -> Built:
        return self._built_here(self.book.chain(version))

    @torch.inference_mode()
    def _build_ahead(self, recipe: Recipe) -> Built:
        return self._built_here([*self.book.chain(recipe.parent), recipe])

    def _built_here(self, chain: Sequence[Recipe]) -> Built:
        self._building = True
        try:
            return self._built(chain, self._reached)
        finally:
            self._building = False

    @torch.inference_mode()
    def _build_aside(self, version: str) -> Resident:
        """Build from a snapshot or the base: where the last build stands is its own thread's."""
        built = self._built(self.book.chain(version), None)
        return Resident(Variant(self._line.name, version), built.decoder)

    def _built(self, chain: Sequence[Recipe], start: Reached | None) -> Built:
        try:
            return build(self._source, chain, start=start)
        except (KernelError, ValueError) as cause:
            version = chain[-1].version if chain else self._base.name
            raise SwapError(f"version {version} failed its checks: {cause}") from cause

    def _keep(self) -> None:
        if self._reached is not None:
            keep(self._reached, self._source.snapshots)
        give_back()


def _take_one_core(nice: int) -> None:
    """Make this thread take one core, and step back so far where decoding wants it.

    Each thread has its own count of torch threads (OpenMP); the engine sets its own, so that only
    threads made from here on begin with one.

    nice: 0 to 19
    """
    torch.set_num_threads(1)
    if nice and hasattr(os, "setpriority"):  # Linux keeps a priority for each thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)

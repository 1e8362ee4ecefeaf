"""Asks a process of its own whether a job can be compiled: in time, in memory, without a fault.

- A thread cannot be broken off, and a fault in one ends the server; a process can, and ends alone.
- What a job may take is counted in seconds of a processor, so that other work refuses nothing.
- The process is started when it is first needed, again when it has ended, and never outlives this.

Knows nothing of who asks, or of what a job says.
"""

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal, cast, get_args

from agent.constrain.vocabulary import Vocabulary
from agent.errors import AgentError
from agent.turn.proof.frames import LENGTH_BYTES, framed

# What ended a job: what it may take of a processor, or of memory; a fault.
Limit = Literal["time", "memory", "crash"]
LIMITS: Final[tuple[Limit, ...]] = get_args(Limit)

_MODULE: Final = "agent.turn.proof.process"
# What of the environment it needs, who reads what clients sent; keys are none of it.
_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")
# One thread: a fork copies no others. One arena: each further one is counted as 64 MB.
_SINGLE: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
_PIECE_BYTES: Final = 2**16


class LimitError(AgentError):
    """A job was ended by a limit."""

    def __init__(self, limit: Limit) -> None:
        """Say which."""
        super().__init__(limit)
        self.limit: Limit = limit


class ProverLostError(AgentError):
    """The process that tries jobs has ended, and so has the one in its place."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one job may take.

    seconds: of a processor. A compile is refused after one (agent.constrain.guidance), the search
        for what is wrong with another may take as long, and its last part, too
    most_mb: of memory, MiB, beside the vocabulary
    waited_s: by the clock; who waits longer has a machine that does much else
    """

    seconds: float = 3.0
    most_mb: int = 256
    waited_s: float = 60.0


class Prover:
    """The process, and one job at a time in it. Asked from one thread, and closed from any."""

    def __init__(self, vocabulary: Vocabulary, bounds: Bounds | None = None) -> None:
        """Start nothing yet."""
        self.bounds = bounds or Bounds()
        self._vocabulary = vocabulary
        self._process: subprocess.Popen[bytes] | None = None
        self._asking, self._closed = threading.Lock(), False

    @property
    def pid(self) -> int | None:
        """Of the process; None: there is none now."""
        return None if self._process is None else self._process.pid

    def prove(self, job: bytes) -> dict[str, Any]:
        """Let a job be done there. Returns: what it said (agent.turn.proof.process).

        raises: LimitError when a limit ended it, ProverLostError
        """
        with self._asking:
            for _ in range(2):  # in a new one, too: the first may have been ended while it was idle
                try:
                    said = self._asked(job)
                except OSError:
                    self._end()
                    continue
                if (limit := said.get("limit")) is not None:
                    raise LimitError(limit)
                return said
        raise ProverLostError("the process that tries forms of replies has ended, twice")

    def close(self) -> None:
        """End the process, whatever it does, and start no other."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()  # so that who asks it is told
        with self._asking:
            self._end()

    def _asked(self, job: bytes) -> dict[str, Any]:
        """Ask the process, which is started where there is none.

        raises: OSError when it has ended
        """
        if self._closed:
            raise ProverLostError("the server stops")
        if self._process is None:
            self._process = _started()
            given = {"vocabulary": asdict(self._vocabulary), "bounds": asdict(self.bounds)}
            _write(self._process, json.dumps(given).encode())
        _write(self._process, job)
        try:
            return dict(json.loads(_read(self._process, self.bounds.waited_s)))
        except TimeoutError:
            self._end()
            return {"limit": "time"}

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with suppress(OSError):  # of what it was told and has not read
                process.communicate()


def _started() -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path if path)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        env=kept | _SINGLE | {"PYTHONPATH": paths},
        bufsize=0,
        start_new_session=True,  # a Ctrl-C is for the server, which ends it
    )


def _write(process: subprocess.Popen[bytes], data: bytes) -> None:
    """Write one piece. Raises: OSError when the process has ended."""
    left = memoryview(framed(data))
    while left:
        left = left[os.write(cast(IO[bytes], process.stdin).fileno(), left) :]


def _read(process: subprocess.Popen[bytes], waited_s: float) -> bytes:
    """Read one piece. Raises: OSError when the process has ended, TimeoutError."""
    stream, ends_s = cast(IO[bytes], process.stdout), time.monotonic() + waited_s

    def taken(size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            if not waiting.select(ends_s - time.monotonic()):
                raise TimeoutError
            piece = os.read(stream.fileno(), min(_PIECE_BYTES, size - len(found)))
            if not piece:
                raise BrokenPipeError("the process has ended")
            found += piece
        return bytes(found)

    with selectors.DefaultSelector() as waiting:
        waiting.register(stream, selectors.EVENT_READ)
        return taken(int.from_bytes(taken(LENGTH_BYTES), "big"))

"""Asks a process of its own whether a job can be compiled: in time, in memory, without a fault.

- A thread cannot be broken off, and a fault in one ends the server; a process can, and ends alone.
- What a job may take is counted in seconds of a processor, so that other work refuses nothing.
- The process is started when it is first needed, again when it has ended, and never outlives this.

Knows nothing of who asks, or of what a job says.
"""

import json
import logging
import os
import selectors
import signal
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
_LOG: Final = logging.getLogger(__name__)


class LimitError(AgentError):
    """A job was ended by a limit."""

    def __init__(self, limit: Limit) -> None:
        """Say which."""
        super().__init__(limit)
        self.limit: Limit = limit


class ProverLostError(AgentError):
    """Nothing says whether a job may be compiled: the process has ended, or is kept waiting."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one job may take.

    seconds: of a processor. A compile is refused after one (agent.constrain.guidance), the search
        for what is wrong with another may take as long, and its last part, too
    most_mb: of memory, MiB, beside the vocabulary
    waited_s: by the clock; who waits longer has a machine that does much else, and is told that
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
        self._owning = threading.Lock()  # of the process, which is never waited for with it

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
                except TimeoutError:
                    self._end()
                    raise ProverLostError("this machine does too much else to try it") from None
                except OSError as cause:
                    self._end()
                    if not self._closed:
                        _LOG.warning("the process that tries forms of replies ended: %s", cause)
                    continue
                if (limit := said.get("limit")) is not None:
                    raise LimitError(limit)
                return said
        raise ProverLostError("the process that tries forms of replies has ended, twice")

    def close(self) -> None:
        """End the process, whatever it does, and start no other. Who asks it is told."""
        self._closed = True
        self._end()

    def _asked(self, job: bytes) -> dict[str, Any]:
        """Ask the process, which is started where there is none.

        raises: OSError when it has ended, TimeoutError
        """
        with self._owning:
            if self._closed:
                raise ProverLostError("the server stops")
            started = self._process is None
            process = self._process = self._process or _started()
            # numbers of our own, which stay ours when the process is ended meanwhile
            asked, told = (os.dup(each.fileno()) for each in _pipes(process))
        ends_s = time.monotonic() + self.bounds.waited_s
        try:
            if started:
                given = {"vocabulary": asdict(self._vocabulary), "bounds": asdict(self.bounds)}
                _write(asked, json.dumps(given).encode(), ends_s)
            _write(asked, job, ends_s)
            return dict(json.loads(_read(told, ends_s)))
        finally:
            os.close(asked)
            os.close(told)

    def _end(self) -> None:
        with self._owning:
            process, self._process = self._process, None
            if process is not None:
                _kill(process)


def _started() -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        env=kept | _SINGLE | {"PYTHONPATH": paths},
        bufsize=0,
        start_new_session=True,  # a Ctrl-C is for the server, which ends it; a group of its own
    )
    os.set_blocking(_pipes(process)[0].fileno(), False)
    return process


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and its fork, which would hold the pipe open and go on."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # nobody else waits for it: the number is its own
    process.wait()
    for pipe in _pipes(process):
        pipe.close()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Where it is asked, and where it tells."""
    return cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)


def _write(asked: int, data: bytes, ends_s: float) -> None:
    """Write one piece. Raises: OSError when the process has ended, TimeoutError."""
    left = memoryview(framed(data))
    while left:
        _wait(asked, selectors.EVENT_WRITE, ends_s)
        left = left[os.write(asked, left[:_PIECE_BYTES]) :]


def _read(told: int, ends_s: float) -> bytes:
    """Read one piece. Raises: OSError when the process has ended, TimeoutError."""

    def taken(size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            _wait(told, selectors.EVENT_READ, ends_s)
            piece = os.read(told, min(_PIECE_BYTES, size - len(found)))
            if not piece:
                raise BrokenPipeError("its pipe is closed")
            found += piece
        return bytes(found)

    return taken(int.from_bytes(taken(LENGTH_BYTES), "big"))


def _wait(pipe: int, event: int, ends_s: float) -> None:
    """Wait until a pipe can be written or read. Raises: TimeoutError. ends_s: time.monotonic"""
    with selectors.DefaultSelector() as waiting:
        waiting.register(pipe, event)
        if not waiting.select(max(0, ends_s - time.monotonic())):
            raise TimeoutError

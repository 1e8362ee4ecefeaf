"""Compiles jobs, each in a fork of its own that may end: in time, in memory, or by a fault.

`python -m agent.turn.proof.process`, started by agent.turn.proof.prover. It has read the vocabulary
and has one thread, so that a fork takes milliseconds and is safe; it ends with its standard input,
and so with the server. A fork is ended by the kernel, whatever holds it up: by a timer of what it
takes of a processor, or where it asks for more memory than it may have.

Knows nothing of what becomes of the answers.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from agent.constrain.contract import Compiler
from agent.constrain.open import STACK_BYTES, compiler_of, open_thread
from agent.constrain.vocabulary import Vocabulary
from agent.errors import InvalidError
from agent.turn.proof.frames import framed, read_frame
from agent.turn.proof.job import done, read

_OUT_OF_MEMORY: Final = 3  # the status of a fork that lacked some and could still say so
_NO_MEMORY: Final = b"memory allocation of"  # what Rust says before it aborts for the same reason
_FAULT_BYTES: Final = 2**12  # of that: it is a line


class _Here(Executor):
    """Does at once what it is asked: a fork has none of the threads that were begun before."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **named))
        return future


def serve(asked: BinaryIO, told: BinaryIO) -> None:
    """Answer jobs until no more come.

    asked: vocabulary and bounds, then jobs
    told: of each JSON: `fault`, what is wrong with it; `tools`, where they were eased; or `limit`,
        which ended it
    """
    given = json.loads(read_frame(asked) or b"null")
    compiler = compiler_of(Vocabulary(**given["vocabulary"]), aside=_Here())
    while (job := read_frame(asked)) is not None:
        told.write(framed(_tried(compiler, job, given["bounds"], told.fileno())))
        told.flush()


def _tried(compiler: Compiler, job: bytes, bounds: dict[str, Any], told: int) -> bytes:
    """Do a job in a fork, and tell how it ended. told: is nothing for the fork"""
    (answer, answers), (fault, faults) = os.pipe(), os.pipe()
    os.set_blocking(faults, False)  # what does not fit is lost
    pid = os.fork()
    if pid == 0:
        os.close(told)  # so that it closes with this process, whatever the fork does
        os.dup2(faults, sys.stderr.fileno())
        _answer(compiler, job, answers, bounds)
    os.close(answers)
    os.close(faults)
    with os.fdopen(answer, "rb") as answer_file, os.fdopen(fault, "rb") as fault_file:
        said, why = answer_file.read(), fault_file.read(_FAULT_BYTES)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == 0:
        return said
    if status == -signal.SIGPROF:
        limit = "time"
    else:
        limit = "memory" if status == _OUT_OF_MEMORY or _NO_MEMORY in why else "crash"
    return json.dumps({"limit": limit}).encode()


def _answer(compiler: Compiler, job: bytes, answers: int, bounds: dict[str, Any]) -> NoReturn:
    """Do a job within bounds, answer, and end."""
    status = 1
    try:
        signal.setitimer(signal.ITIMER_REAL, bounds["waited_s"])  # nobody waits any more then
        _bound(bounds["seconds"], bounds["most_mb"] * 2**20)
        said = open_thread().submit(_said, compiler, job).result()
        with os.fdopen(answers, "wb") as file:
            file.write(said)
        status = 0
    except MemoryError:
        status = _OUT_OF_MEMORY
    finally:
        os._exit(status)


def _bound(seconds: float, most_bytes: int) -> None:
    """Let the kernel end this process.

    most_bytes: beside what it has, and the stack of a thread
    """
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if (has := _size_bytes()) is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = has + STACK_BYTES + most_bytes
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _size_bytes() -> int | None:
    """How much memory this process may address; None: this system neither says nor limits that."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").partition(" ")[0]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()


def _said(compiler: Compiler, job: bytes) -> bytes:
    before = read(job)
    try:
        _, after = done(before, compiler)
    except InvalidError as cause:
        fault = {"message": cause.message, "param": cause.param, "code": cause.code}
        return json.dumps({"fault": fault}).encode()
    return json.dumps({"tools": None if after is before else after.tools}).encode()


if __name__ == "__main__":
    told_to = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else is an answer
    with os.fdopen(told_to, "wb") as stream:
        serve(sys.stdin.buffer, stream)

"""Compiles what replies are held to, beside the event loop, and never at others' cost.

- What is plain is compiled at once, in a thread of its own, and waits for nothing that is not.
- All else waits in turns, key by key, is tried in another process, and is compiled here when that
  came to an end. What once did is not tried again.
- Who stops waiting gives up the place; what has begun ends within its bounds.

Knows nothing of prompts or of HTTP.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Final, ParamSpec, TypeVar

from agent.constrain.contract import Compiler
from agent.constrain.open import open_thread
from agent.errors import InvalidError, UnavailableError
from agent.turn.held.held import Held, Rest
from agent.turn.proof.job import Job, done, written
from agent.turn.proof.lane import Lane
from agent.turn.proof.plain import is_plain
from agent.turn.proof.prover import Limit, LimitError, Prover, ProverLostError

_P = ParamSpec("_P")
_T = TypeVar("_T")
_MAX_KNOWN: Final = 10_000  # digests, of 32 bytes

_STOPS: Final = "the server stops: ask again"
_SIMPLER: Final = "ask for less, or for something simpler"
_WHY: Final[dict[Limit, str]] = {
    "time": "compiling it takes over {bounds.seconds:g} seconds of a processor: " + _SIMPLER,
    "memory": "compiling it takes over {bounds.most_mb} MiB of memory: " + _SIMPLER,
    "crash": "the compiler fails on it, and nothing says where: " + _SIMPLER,
}


class Holding:
    """Compiles for one model, in two threads."""

    def __init__(
        self,
        compiler: Compiler | None,
        prover: Prover | None,
        *,
        max_queue: int,
        limited: Callable[[Limit], None],
    ) -> None:
        """Take the parts; they are closed with this.

        prover: None: nothing is tried before it is compiled
        max_queue: that may wait to be tried
        limited: told what ended a job that a client is refused for
        """
        self._compiler, self._prover, self._limited = compiler, prover, limited
        self._plain, self._tried = open_thread(), open_thread()
        self._lane = Lane(max_queue)
        self._known: OrderedDict[bytes, None] = OrderedDict()  # jobs that came to an end

    def close(self) -> None:
        """Begin nothing more, and end the process."""
        for thread in (self._plain, self._tried):
            thread.shutdown(wait=False, cancel_futures=True)
        if self._prover is not None:
            self._prover.close()

    async def held(self, job: Job, key: str, *, follows: bool = False) -> Held | None:
        """Compile. Returns: None where the rest of a call cannot be held.

        key: whose turn it is (Ask.principal)
        follows: a step of a response that was begun: the queue is never full for it
        raises: InvalidError, which names the parameter; BusyError where too many wait;
            UnavailableError
        """
        loop = asyncio.get_running_loop()
        if self._prover is None or self._compiler is None or is_plain(job):
            return (await _of(_begun(self._plain, done, job, self._compiler)))[0]
        await self._lane.enter(key, follows=follows)
        try:
            future = _begun(self._tried, self._proved, job, self._prover)
        except UnavailableError:
            self._lane.leave()
            raise

        def leave(_: object) -> None:
            with suppress(RuntimeError):  # the loop has ended, and with it who waits
                loop.call_soon_threadsafe(self._lane.leave)

        future.add_done_callback(leave)  # not when the client goes: the thread does not end then
        return await _of(future)

    def _proved(self, job: Job, prover: Prover) -> Held | None:
        """Try a job unless it is known, then do it."""
        data = written(job)
        digest = sha256(data).digest()
        if digest in self._known:
            self._known.move_to_end(digest)
            return done(job, self._compiler)[0]
        try:
            told = prover.prove(data)
        except LimitError as cause:
            if isinstance(job.asked, Rest):
                return None
            if not job.eases:
                self._limited(cause.limit)
            why = _WHY[cause.limit].format(bounds=prover.bounds)
            raise InvalidError(f"{job.asked.param}: {why}", param=job.asked.param) from cause
        except ProverLostError as cause:
            raise UnavailableError(f"{cause}: ask again") from cause
        if (fault := told.get("fault")) is not None:
            raise InvalidError(**fault)
        if (tools := told["tools"]) is not None:
            return done(replace(job, tools=tuple(tools), eases=False), self._compiler)[0]
        self._known[digest] = None
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return done(job, self._compiler)[0]


def _begun(
    thread: ThreadPoolExecutor, work: Callable[_P, _T], *given: _P.args, **named: _P.kwargs
) -> Future[_T]:
    """Begin work in a thread. Raises: UnavailableError when it is closed."""
    try:
        return thread.submit(work, *given, **named)
    except RuntimeError as cause:
        raise UnavailableError(_STOPS) from cause


async def _of(future: Future[_T]) -> _T:
    """Wait for what was begun. Raises: what that does; UnavailableError where it was called off."""
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise UnavailableError(_STOPS) from None

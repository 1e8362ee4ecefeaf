"""Lets a candidate answer beside what serves, unseen: the policy `shadow`.

Once a reply is made, the same prompt is asked of the candidate, in a share of the sessions. Nobody
waits for what comes of it: it is made while the engine has nothing else to do, given up where that
takes too long, and recorded as a turn that names the one beside which it was made. Requests that
must not be learned from, chores, and those that name a version are never asked a second time.

Belongs to the event loop's thread.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal

from agent.engine.contract import Engine, Finish, Token
from agent.errors import (
    EngineStoppedError,
    QueueFullError,
    ReplyFailedError,
    UnknownVersionError,
)
from agent.turn.answer import request_of
from agent.turn.ask import Ask
from agent.turn.recorder import Recorder
from agent.turn.reply import Reply
from agent.watch.metrics import Metrics
from streams.line import share
from streams.line.line import Trial
from streams.line.variant import Variant
from streams.turn import beside_id

# A reply that found no idle time for so long would be compared with another hour's.
LIMIT_S: Final = 120.0

Outcome = Literal["made", "failed", "crowded", "preempted", "late"]


class Beside:
    """What a candidate answers unseen, on one agent."""

    def __init__(
        self,
        engine: Engine,
        recorder: Recorder,
        metrics: Metrics,
        *,
        trial: Callable[[], Trial | None],
        share: float,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Ask nothing yet.

        trial: returns what is on trial here now
        share: of the sessions, 0 to 1
        limit_s: how long a reply may take, seconds
        """
        self._engine, self._recorder, self._metrics = engine, recorder, metrics
        self._trial, self._share, self._limit_s = trial, share, limit_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def begin(self, turn_id: str, ask: Ask, variant: Variant) -> None:
        """Ask the candidate, too, if it is its turn.

        turn_id, variant: of the reply that was shown
        """
        trial = self._trial()
        if self._stopped or trial is None or not trial.unseen or variant.version == trial.version:
            return
        if ask.wanted or not ask.learn or ask.purpose != "main":
            return
        if share.belongs(ask.session, trial.version, self._share):
            candidate = Variant(ask.line, trial.version)
            task = asyncio.get_running_loop().create_task(self._answer(turn_id, ask, candidate))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Give up what is not made yet, and begin nothing more."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    async def _answer(self, turn_id: str, ask: Ask, candidate: Variant) -> None:
        reply = Reply(ask)
        outcome = await self._made(reply, ask, candidate)
        self._metrics.unseen.labels(outcome).inc()
        if outcome in ("made", "failed"):
            id = beside_id(turn_id)
            self._recorder.turn(id, ask, choice=0, reply=reply, beside=turn_id)

    async def _made(self, reply: Reply, ask: Ask, candidate: Variant) -> Outcome:
        request = replace(request_of(ask, 0), assign=lambda _: candidate, unseen=True)
        try:
            stream = self._engine.submit(request)
        except (QueueFullError, EngineStoppedError):
            return "crowded"
        try:
            async with asyncio.timeout(self._limit_s):
                async for event in stream:
                    if isinstance(event, Token):
                        reply.add(event)
                    elif event == Finish("cancelled"):
                        return "preempted"
                    else:
                        reply.finish(event)
        except ReplyFailedError:
            reply.fail(candidate)
            return "failed"
        except TimeoutError:
            return "late"
        except (UnknownVersionError, EngineStoppedError):  # the trial has ended meanwhile
            return "crowded"
        finally:
            stream.cancel()
        return "made"

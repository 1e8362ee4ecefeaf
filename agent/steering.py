"""What operators decide of a line, carried out: taken back at once, or written down first.

A way back to an earlier version, or to the base, holds on this agent before anything is written, so
that it needs neither log nor store. Everything else is a record of the log, which every agent and
the learner then follow.

Knows no routes, and not who may do what (agent.console).
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from agent.swap.follow import Follower
from agent.watch.events import Events
from streams.line.line import Line
from streams.line.offer import decided, operate, order_learning
from streams.line.verbs import Audit
from streams.log.contract import Log
from streams.records import LearnOrder, Rollout, Verb
from streams.settings import RolloutSettings


class Steering:
    """The operators' verbs on one line."""

    def __init__(
        self, log: Log, follower: Follower, events: Events, *, base: str, rollout: RolloutSettings
    ) -> None:
        """Take the parts.

        base: serves a line that nobody has changed
        rollout: what operators may do with a candidate on trial
        """
        self._log, self._follower, self._events = log, follower, events
        self._base, self._rollout = base, rollout
        self._name = follower.decisions.line().name
        self._going_back = ThreadPoolExecutor(1, thread_name_prefix="rollback")

    async def rollback(self, who: str, reason: str, expected_seq: int | None = None) -> Rollout:
        """Serve the previous version again, now, with or without broker and database.

        raises: ConflictError when the line's seq is not the expected one; SwapError when there is
            nothing to go back to, or it cannot be taken
        """
        return await self._go_back(self._follower.rollback, who, reason, expected_seq)

    async def reset(self, who: str, reason: str, expected_seq: int | None = None) -> Rollout:
        """Serve the base again, now, with or without broker and database; learn nothing more.

        raises: ConflictError when the line's seq is not the expected one; VerbRefusedError when it
            has been done already
        """
        return await self._go_back(self._follower.reset, who, reason, expected_seq)

    async def operate(
        self,
        verb: Verb,
        who: str,
        reason: str,
        expected_seq: int | None = None,
        *,
        completes: bool = True,
    ) -> Rollout:
        """Use a verb on the line or its trial: written down first, then followed by every agent.

        completes: whether the candidate may come to serve everybody by it, on the line as the log
            has it, which may be ahead of what this agent follows
        raises: ConflictError, VerbRefusedError, NotAllowedError, LogUnavailableError; LastStepError
            where the candidate would serve everybody, and may not
        """

        def used() -> Rollout:
            line = decided(self._log, self._name) or Line(self._name, (self._base,))
            return operate(
                self._log,
                line,
                verb,
                _audit(who, reason),
                self._rollout,
                expected_seq=expected_seq,
                completes=completes,
            )

        change = await asyncio.to_thread(used)  # a log that hangs must not hold up a way back
        self._follower.spans.change(change)
        self._events.add("trial", f"{who}: {verb} of {change.candidate or change.line}: {reason}")
        return change

    async def order_learning(self, who: str, reason: str) -> LearnOrder:
        """Order one generation now, in any mode of the line's learner.

        raises: VerbRefusedError while nothing is learned on the line; LogUnavailableError
        """

        def ordered() -> LearnOrder:
            return order_learning(self._log, self._name, _audit(who, reason))

        order = await asyncio.to_thread(ordered)
        self._events.add("learn", f"{who}: ordered a generation of {order.line}: {reason}")
        return order

    def close(self) -> None:
        """Take no way back any more."""
        self._going_back.shutdown(wait=False)

    async def _go_back(self, back: Callable[..., Rollout], *asked: str | int | None) -> Rollout:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._going_back, back, *asked)


def _audit(who: str, reason: str) -> Audit:
    return Audit.new(who, reason, int(time.time() * 1000))

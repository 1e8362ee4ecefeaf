"""An engine without weights: its replies are scripts, played in the event loop that asks for them.

Keeps the contract of engines (tests/agent/engine/test_contract.py), so that what is tested on it
holds on the real one. What a test may do beside the contract: hold a reply up at "⏸" until its gate
opens, let one fail by an exception in its script, or refuse requests.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence

from agent.engine.contract import Counts, Finish, Request, Scored, Stream, SupportsHold, Token
from agent.engine.spelling import spelt
from agent.engine.text import Detokenizer
from agent.errors import EngineStoppedError, QueueFullError, ReplyFailedError
from agent.settings import AgentSettings
from streams.line.variant import Variant

HELLO = ("Hello", ",", " world", "!")
VOCABULARY = 5000  # prompts of other tokens fail, as they do on a model

Script = Sequence[str | Exception]


class ScriptedStream(Stream):
    """One reply on its way, whose gate opens what comes after "⏸"."""

    def __init__(self, request: Request, changed: Callable[[], None]) -> None:
        super().__init__()
        self.request = request
        self.script: Script = ()
        self.gate = asyncio.Event()
        self._changed = changed

    def cancel(self) -> None:
        super().cancel()
        self.gate.set()
        self._changed()


class ScriptedEngine:
    """Plays one script for every request."""

    def __init__(
        self, residents: SupportsHold, script: Script = HELLO, *, settings: AgentSettings
    ) -> None:
        self.script, self.counts, self.alive = script, Counts(), False
        self.then: list[Script] = []  # what is played for the requests after the next one
        # what is played for a request, where that decides; None: as ever
        self.choose: Callable[[Request], Script | None] = lambda _: None
        self.writes: Callable[[str], bytes] = str.encode  # the bytes of a token of a script
        self.streams: list[ScriptedStream] = []
        self.refuse: Callable[[], Exception | None] = lambda: None
        self.drained_s: float | None = None
        self.paused = False  # admits nobody meanwhile
        self._residents, self._settings = residents, settings
        self._context_tokens = settings.context_of(VOCABULARY)
        self._waiting: list[ScriptedStream] = []
        self._playing: dict[ScriptedStream, asyncio.Task[None]] = {}
        self._idle = threading.Event()
        self._idle.set()

    @property
    def queued(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._playing)

    def start(self) -> None:
        self.alive = True

    def submit(self, request: Request) -> ScriptedStream:
        if not 0 < len(request.prompt_token_ids) < self._context_tokens:
            raise ValueError(f"1 to {self._context_tokens - 1} tokens fit")
        if (refusal := self.refuse()) is not None:
            raise refusal
        if not self.alive or self.drained_s is not None:
            raise EngineStoppedError("the engine takes no more requests")
        if len(self._waiting) >= self._settings.max_queue and not request.follows:
            raise QueueFullError("enough requests wait already")
        stream = ScriptedStream(request, self.admit)
        chosen = self.choose(request)
        stream.script = self.script if chosen is None else chosen
        if self.then and chosen is None:
            self.script = self.then.pop(0)
        self.streams.append(stream)
        self._waiting.append(stream)
        self._idle.clear()
        self.admit()
        return stream

    def forget(self) -> None: ...

    def drain(self, grace_s: float) -> None:
        self.drained_s = grace_s
        if not self._idle.wait(grace_s):
            for stream in [*self._waiting, *self._playing]:
                stream.loop.call_soon_threadsafe(stream.cancel)
            self._idle.wait()
        self.alive = False

    def admit(self) -> None:
        """Let waiting requests have the free places, and end those that nobody waits for."""
        for stream in [stream for stream in self._waiting if stream.cancelled]:
            self._waiting.remove(stream)
            stream.put(Finish("cancelled"))
        while self._waiting and len(self._playing) < self._settings.max_batch and not self.paused:
            stream = self._waiting.pop(0)
            self._playing[stream] = stream.loop.create_task(self._play(stream))
        if not self._waiting and not self._playing:
            self._idle.set()

    async def _play(self, stream: ScriptedStream) -> None:
        try:
            resident = self._residents.hold(stream.request.assign)
            stream.variant = resident.variant
            try:
                stream.put(await self._told(stream, resident.variant))
            finally:
                self._residents.release(resident)
        except Exception as cause:
            self.counts.failed_replies += 1
            stream.put(cause)
        finally:
            del self._playing[stream]
            self.admit()

    async def _told(self, stream: ScriptedStream, variant: Variant) -> Finish:
        """Tell the tokens of a reply, and return how it ends."""
        request, texts = stream.request, list[str]()
        if max(request.prompt_token_ids) >= VOCABULARY:
            raise ReplyFailedError("the reply could not be made: no such token")
        growing = Detokenizer(request.sampling.stop)
        room = self._context_tokens - len(request.prompt_token_ids)
        most, tops = min(request.sampling.max_tokens, room), request.top_logprobs
        left = sum(isinstance(each, str) and each != "⏸" for each in stream.script)
        for each in stream.script:
            if isinstance(each, Exception):
                raise each
            await (stream.gate.wait() if each == "⏸" else asyncio.sleep(0))
            if stream.cancelled:
                return Finish("cancelled")
            if each == "⏸":
                continue
            texts.append(each)
            left -= 1
            last = not left or len(texts) == most
            written = self.writes(each)
            text, spelling = growing.add(written, last=last), spelt(written)
            top = tuple(Scored(spelling, -0.5 - place) for place in range(tops))
            token = Token(len(texts) - 1, text, -0.5, -0.25, variant, spelling, top)
            stream.put(token)
            self.counts.sampled_tokens += 1
            if growing.stopped_by:
                return Finish("stop", growing.stopped_by)
            if len(texts) == most:
                return Finish("length" if left else "stop")
        return Finish("stop")

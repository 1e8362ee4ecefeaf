"""One MCP server: connected, its tools followed, called, and connected again when it breaks.

Invariants: nothing here raises to whoever calls; a call ends within its time; what a server says is
bounded in size; a server that breaks, hangs or floods is left alone for longer each time.

Belongs to one event loop, in which it runs from `run` to its cancellation; `tools` and `state` are
replaced as a whole, so that other threads may read them.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

from mcp import Client, MCPError, types
from mcp.client.subscriptions import SubscriptionLost
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from agent.mcp.bounds import TOO_LONG
from agent.mcp.content import cut, result_of, tool_of
from agent.mcp.http import http_transport
from agent.mcp.settings import ToolServer
from agent.mcp.stdio import stdio_transport
from agent.tools.calls import plain_json
from agent.tools.served import Result
from streams.records import Json
from streams.settings import masked

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
STEADY_S: Final = 60.0  # a connection that held so long is no sign of a server that breaks
MAX_PAGES: Final = 10  # of a list of tools
TIMEOUTS: Final = 2  # calls in a row without an answer: it hangs
MESSAGE_ROOM: Final = 2**20  # bytes of a message beyond those of a result: lists of tools are long

# What the SDK says of a connection that is lost; servers use the same code for failures of theirs.
_LOST: Final = ("Connection closed", "SSE stream ")
# What it says, by its code, in the place of an answer that none came from a server at an address:
# a gateway's page, say, which is no fault of who called.
_UNANSWERED: Final = {
    types.INTERNAL_ERROR: ("Server returned an error response",),
    types.METHOD_NOT_FOUND: ("Not Found",),
    types.INVALID_REQUEST: (
        "Unexpected content type: ", "server answered a request with 202", "Redirect to ",
    ),
}  # fmt: skip
_ENDED: Final = "Session terminated"  # it knows this session no more, as after a restart
_LONG_EVENT: Final = "SSE stream failed: Server-sent event exceeded"  # its code is that of _LOST
FORGOTTEN: Final = "its session ended"
MAX_SHOWN: Final = 300  # characters of a failure, in the log
MAX_TOLD: Final = 200  # of one, to the model
READ_OF_FAILURE: Final = 2**14  # of one at all: a password in what is shown ends before, too

_LOG = logging.getLogger(__name__)

State = Literal["starting", "up", "away"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a server is given, seconds."""

    list_s: float = 15.0  # a program has to start, and to say what it offers
    refresh_s: float = 30.0  # tools are asked for anew, also of servers that say no change
    pause_s: float = 1.0  # before that, also for one that says of each listing that it has changed


@dataclass(frozen=True, slots=True)
class Standing:
    """How a server is now; everybody may know it.

    why: what is wrong with it, in our own words, never in the server's; empty: nothing
    """

    state: State = "starting"
    why: str = ""


class Connection:
    """A connection to one server."""

    def __init__(
        self,
        name: str,
        settings: ToolServer,
        *,
        most_bytes: int,
        changed: Callable[[str, Standing], None] = lambda *_: None,
        wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
        pace: Pace = Pace(),
    ) -> None:
        """Connect to nothing yet.

        most_bytes: of a result's text
        changed: told each change of its standing
        wait: for so many seconds
        """
        self.name, self.settings = name, settings
        self.tools: dict[str, Json] = {}
        self.standing = Standing()
        self.stopping = False  # to be cancelled ends `run` then, and only then
        self._most_bytes, self._changed, self._wait = most_bytes, changed, wait
        self._pace = pace
        self._client: Client | None = None
        self._broken = asyncio.Event()
        self._stale = asyncio.Event()
        self._was_up = False  # since it was connected last
        self._why = ""
        self._timeouts = 0
        self._calling = 0  # calls on their way
        self._answered_s = 0.0  # when a call or a listing was answered last

    async def run(self) -> None:
        """Stay connected until cancelled, when `stopping` is set."""
        wait_s = FIRST_WAIT_S
        loop = asyncio.get_running_loop()
        while not self.stopping:
            began_s = loop.time()
            try:
                await self._connected()
            except (asyncio.CancelledError, BaseExceptionGroup) as cause:  # or of the SDK's own
                if self.stopping:
                    raise
                self._note_failure(cause)
            except Exception as cause:
                self._note_failure(cause)
            finally:
                self._client, self.tools = None, {}
            if self.stopping:
                return
            if loop.time() - began_s >= STEADY_S:
                wait_s = FIRST_WAIT_S
            self._stand("away", self._why or "it ended")
            # One that was restarted is back already; one that forgets again is left alone.
            if not (self._was_up and self._why == FORGOTTEN and wait_s == FIRST_WAIT_S):
                await self._wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def call(self, name: str, arguments: str, *, within_s: float) -> Result:
        """Call a tool. arguments: JSON, an object"""
        client = self._client
        if client is None or self._broken.is_set() or name not in self.tools:
            why = self._why or self.standing.why or "it does not offer this tool now"
            return Result(f"{name} cannot be called now: {why}", "away")
        read = plain_json(arguments)
        if not isinstance(read, dict):  # such as an infinite number, or thousands of digits
            return Result(f"{name} was not called: its arguments cannot be read", "failed")
        params = types.CallToolRequestParams(name=name, arguments=read)
        within_s = min(within_s, self.settings.timeout_s)
        try:
            async with asyncio.timeout(within_s):
                told = await self._asked(client, params)
        except TimeoutError:
            if within_s == self.settings.timeout_s:  # less is no time that it was promised
                self._note_timeout()
            return Result(f"{name} did not answer within {within_s:g} seconds", "timeout")
        except MCPError as cause:
            return self._refused(name, cause)
        except (ValidationError, ValueError, RuntimeError):
            return Result(f"{name} answered what cannot be read", "broken")
        self._timeouts, self._answered_s = 0, asyncio.get_running_loop().time()
        return result_of(told, most_bytes=self._most_bytes)

    async def _asked(
        self, client: Client, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Ask a server to call a tool, and return what it answers."""
        self._calling += 1
        try:
            # Without the SDK's check of output schemas: theirs, with patterns that may not end.
            return await client.session.send_request(
                types.CallToolRequest(params=params), types.CallToolResult
            )
        finally:
            self._calling -= 1

    async def _connected(self) -> None:
        """Connect, and follow the tools until it breaks."""
        self._broken.clear()
        self._why, self._timeouts, self._was_up = "", 0, False
        async with (
            asyncio.timeout(self._pace.list_s) as limit,
            Client(self._transport(), message_handler=self._heard, cache=None) as client,
        ):
            tools = await self._listed(client)
            limit.reschedule(None)
            self._client, self.tools, self._was_up = client, tools, True
            self._stand("up", self._lacking())
            watching = asyncio.create_task(self._watch(client))
            try:
                await self._follow(client)
            except Exception as cause:
                self._note_failure(cause)
            finally:
                self._leave()
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def _follow(self, client: Client) -> None:
        """Ask for the tools anew when they change, and now and then, until it breaks."""
        pause_s = self._pace.pause_s
        while not self._broken.is_set():
            await _any_of(self._broken, within_s=pause_s)
            await _any_of(self._broken, self._stale, within_s=self._pace.refresh_s - pause_s)
            self._stale.clear()
            if not self._broken.is_set():
                await self._refresh(client)

    async def _refresh(self, client: Client) -> None:
        """Ask for the tools anew. That this fails ends no calls, which have limits of their own."""
        try:
            async with asyncio.timeout(self._pace.list_s):
                tools = await self._listed(client)
        except (TimeoutError, MCPError, ValidationError) as cause:
            if _is_over(cause) or not self._is_busy():
                raise
        else:
            if not self._broken.is_set():
                self.tools = tools
                self._stand("up", self._lacking())

    def _is_busy(self) -> bool:
        """Whether calls may be why it is silent; longer than one of them may take, they are not."""
        silent_s = asyncio.get_running_loop().time() - self._answered_s
        longest_s = self._pace.refresh_s + self._pace.list_s + self.settings.timeout_s
        return self._calling > 0 and silent_s < longest_s

    def _leave(self) -> None:
        """Offer nothing more: to end the session takes a server that hangs a while."""
        self._client, self.tools = None, {}
        if self._why:
            self._stand("away", self._why)

    async def _watch(self, client: Client) -> None:
        """Hear of changes where they are told to subscribers, from version 2026-07-28 on."""
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        # one that does not tell of them is asked now and then all the same
        with suppress(MCPError, SubscriptionLost, ValidationError, TimeoutError):
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._stale.set()

    def _transport(self) -> AbstractAsyncContextManager[tuple[Any, Any]]:
        most_bytes = MESSAGE_ROOM + 2 * self._most_bytes  # a text may be written in escapes
        settings, ended = self.settings, self._break
        if settings.command is not None:
            return stdio_transport(
                settings.command, settings.args, settings.env, most_bytes=most_bytes, ended=ended
            )
        return http_transport(
            settings.url or "", settings.headers, most_bytes=most_bytes, ended=ended
        )

    async def _listed(self, client: Client) -> dict[str, Json]:
        """The tools that it offers, of those that may be called."""
        found: dict[str, Json] = {}
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            for tool in page.tools:
                if tool.name in self.settings.allow and (shown := tool_of(tool)) is not None:
                    found.setdefault(tool.name, shown)
            cursor = page.next_cursor
            if cursor is None:
                break
        self._answered_s = asyncio.get_running_loop().time()
        return found

    async def _heard(self, message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._stale.set()

    def _lacking(self) -> str:
        lost = [name for name in self.settings.allow if name not in self.tools]
        return f"it does not offer {', '.join(lost)}" if lost else ""

    def _refused(self, name: str, cause: MCPError) -> Result:
        if _is_lost(cause) or self._broken.is_set():
            self._break(TOO_LONG if cause.message.startswith(_LONG_EVENT) else "it broke off")
            huge = self._why == TOO_LONG
            said = "answered more than is read" if huge else "broke off"
            return Result(f"{name} {said}", "huge" if huge else "broken")
        if _is_forgotten(cause):
            self._break(FORGOTTEN)
            return Result(f"{name} broke off", "broken")
        if _is_unanswered(cause):
            return Result(f"{name} could not be reached: {_shown(cause, MAX_TOLD)}", "broken")
        if cause.code == types.PARSE_ERROR:
            return Result(f"{name} answered what cannot be read", "broken")
        told = {"is_error": True, "content": cut(cause.message, self._most_bytes)}
        return Result(json.dumps(told, ensure_ascii=False), "failed")

    def _note_failure(self, cause: BaseException) -> None:
        """Keep why it broke, in our words; what it says itself, of a group the first, is logged."""
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        # no server writes lines of its own into the log, and no password is in it
        said = repr(_shown(cause, MAX_SHOWN))[:MAX_SHOWN]
        _LOG.info("the MCP server %s: %s: %s", self.name, type(cause).__name__, said)
        self._why = self._why or _told(cause, within_s=self._pace.list_s)

    def _note_timeout(self) -> None:
        self._timeouts += 1
        if self._timeouts >= TIMEOUTS:
            self._break("it hangs")

    def _break(self, why: str) -> None:
        self._why = self._why or why
        self._broken.set()
        self._leave()

    def _stand(self, state: State, why: str) -> None:
        standing = Standing(state, why)
        if standing != self.standing:
            self.standing = standing
            self._changed(self.name, standing)


async def _any_of(*events: asyncio.Event, within_s: float) -> None:
    """Wait until something has happened, or so long."""
    woken = [asyncio.ensure_future(each.wait()) for each in events]
    try:
        await asyncio.wait(woken, timeout=within_s, return_when="FIRST_COMPLETED")
    finally:
        for each in woken:
            each.cancel()


def _shown(cause: BaseException, most: int) -> str:
    """What a failure says itself, without passwords: so many characters of the beginning."""
    shown: str = masked(str(cause)[:READ_OF_FAILURE])[:most]
    return shown


def _is_over(cause: Exception) -> bool:
    """Whether a connection that failed so is of no more use."""
    return isinstance(cause, MCPError) and (_is_lost(cause) or _is_forgotten(cause))


def _is_lost(cause: MCPError) -> bool:
    return cause.code == types.CONNECTION_CLOSED and cause.message.startswith(_LOST)


def _is_forgotten(cause: MCPError) -> bool:
    return cause.code == types.INVALID_REQUEST and cause.message == _ENDED


def _is_unanswered(cause: MCPError) -> bool:
    return cause.message.startswith(_UNANSWERED.get(cause.code, ()))


def _told(cause: BaseException, *, within_s: float) -> str:
    """A failure in our own words: what it says itself may be the server's text."""
    match cause:
        case TimeoutError():
            return f"it did not answer within {within_s:g} seconds"
        case FileNotFoundError():
            return f"there is no program {cause.filename!r}"
        case MCPError() if _is_forgotten(cause):
            return FORGOTTEN
        case MCPError() if _is_unanswered(cause):
            return "its address answers, but not as an MCP server does"
        case MCPError():
            return f"it answered with error {cause.code}"[:60]
        case ValidationError():
            return "it answered what cannot be read"
        case OSError(strerror=str(why)):
            return f"it cannot be started: {why}"
    return f"the connection failed ({type(cause).__name__})"

"""A server that is a program: started here, spoken to over its stdin and stdout, ended for certain.

In place of the SDK's own transport because what a server writes is bounded here: a line of any
length would fill the memory of the agent, and messages without end its processor.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp.types import PARSE_ERROR, ErrorData, JSONRPCError
from mcp.types.jsonrpc import jsonrpc_message_adapter

from agent.mcp.bounds import TOO_LONG, TOO_MANY, Rate

GRACE_S: Final = 2.0  # to end by itself when stdin closes, as the protocol has it; then SIGKILL
POLL_S: Final = 0.02


@asynccontextmanager
async def stdio_transport(
    command: str,
    args: Sequence[str],
    env: Mapping[str, str],
    *,
    most_bytes: int,
    ended: Callable[[str], None],
) -> AsyncIterator[tuple[Any, Any]]:
    """Start a program and yield the streams that the SDK's session speaks through.

    most_bytes: of one message
    ended: told why nothing more comes
    raises: OSError when it cannot be started
    """
    process = await asyncio.create_subprocess_exec(
        command,
        *args,
        env=get_default_environment() | dict(env),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=most_bytes,
        start_new_session=True,  # so that what it starts ends with it
    )
    told, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, said = anyio.create_memory_object_stream[SessionMessage](0)
    reading = asyncio.create_task(_read(process, told, ended))
    writing = asyncio.create_task(_write(process, said))
    try:
        yield read, write
    finally:
        for task in (reading, writing):
            task.cancel()
        try:
            await _to_its_end(asyncio.create_task(_end(process)))
        finally:
            for stream in (told, read, write, said):
                stream.close()
            await asyncio.gather(reading, writing, return_exceptions=True)


async def _read(
    process: asyncio.subprocess.Process, told: Any, ended: Callable[[str], None]
) -> None:
    """Hand on what it writes, a line a message, until it ends or writes too much."""
    assert process.stdout is not None
    rate, why = Rate(), "it ended"
    with told:
        try:
            while line := await process.stdout.readline():
                if not rate.take():
                    why = TOO_MANY
                    break
                await told.send(_message(line))
        except ValueError:
            why = TOO_LONG
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            why = "the session has ended"
        ended(why)


def _message(line: bytes) -> SessionMessage | Exception:
    """A message; or why it is none, which the session passes over.

    Of characters that are none, such as half of a pair, a mark is read. An answer that is no
    message is read as a parse error, so that nobody waits for a better one.
    """
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line))
    except ValueError as cause:
        try:
            value = json.loads(line.decode(errors="replace"))
            text = json.dumps(value, ensure_ascii=False)
        except (ValueError, RecursionError):
            return cause
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(whole))
    except ValueError as cause:
        number = value.get("id") if isinstance(value, dict) and "method" not in value else None
        if not isinstance(number, int | str):
            return cause
        unread = ErrorData(code=PARSE_ERROR, message="the answer cannot be read")
        return SessionMessage(JSONRPCError(jsonrpc="2.0", id=number, error=unread))


async def _write(process: asyncio.subprocess.Process, said: Any) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError, BrokenPipeError):
        async for message in said:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(text.encode() + b"\n")
            await process.stdin.drain()


async def _to_its_end(task: asyncio.Task[None]) -> None:
    """Wait until a task has ended, also when cancelled meanwhile; raise that then."""
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):  # the SDK's scopes would cancel the wait again and again
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as cause:
                cancelled = cause
    if cancelled is not None:
        raise cancelled


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its stdin, give it a moment, then end it and all that it started."""
    assert process.stdin is not None
    process.stdin.close()
    ends_s = time.monotonic() + GRACE_S
    # not by wait(), which waits for a pipe that nobody reads any more (CPython's gh-119710)
    while process.returncode is None and time.monotonic() < ends_s:
        await asyncio.sleep(POLL_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    transport: Any = process._transport  # type: ignore[attr-defined]  # asyncio has no other way
    transport.close()  # with its pipes, whatever is in them
    await process.wait()

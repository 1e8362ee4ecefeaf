"""Tools that talk with the agent: chat, feedback on a reply, one prompt asked of two versions."""

import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Final, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import ToolAnnotations
from pydantic import Field

from deploy.errors import RefusedError
from deploy.mcp.calls import Caller, answered
from deploy.mcp.service import HeldKeys, Json, Service
from deploy.mcp.told import Answered, Comparison, MadeCall, Rated, Reply, WaitingCall

PROGRESS_S: Final = 0.25  # between two notes of progress; more would be noise to a host
MAX_TOKENS: Final = 512
ONE_MODEL: Final = "quickset"

Tokens = Annotated[int, Field(ge=1, le=32_768, description="longest reply")]
Warmth = Annotated[
    float | None, Field(ge=0, le=2, description="0: the likeliest token each; none: the agent's")
]
Which = Annotated[
    str,
    Field(
        min_length=1,
        description="stable, candidate, previous, or a version's whole name (tool versions)",
    ),
]
Ids = Sequence[str]
Instructions = Annotated[str | None, Field(description="a system prompt for this reply alone")]


def add_talk(server: MCPServer[Any], service: Service, caller: Caller) -> None:
    """Add these tools to a server."""
    _add_chat(server, service, caller)
    _add_rate(server, service, caller)
    _add_compare(server, service, caller)


def _add_chat(server: MCPServer[Any], service: Service, caller: Caller) -> None:
    @server.tool(
        title="Chat with Quickset",
        annotations=ToolAnnotations(
            read_only_hint=False,
            destructive_hint=False,
            idempotent_hint=False,
            open_world_hint=True,
        ),
    )
    @answered
    async def chat(
        ctx: Context[Any, Any],
        message: Annotated[
            str, Field(description="what you say; may be left out with approve or deny")
        ] = "",
        previous_response_id: Annotated[
            str | None,
            Field(description="response_id of the reply that you go on from; none: begin anew"),
        ] = None,
        instructions: Instructions = None,
        model: Annotated[str, Field(description="a name of the resource quickset://models")] = (
            ONE_MODEL
        ),
        max_tokens: Tokens = MAX_TOKENS,
        temperature: Warmth = None,
        approve: Annotated[
            Ids, Field(description="ids of calls in the last reply's waiting that may be made")
        ] = (),
        deny: Annotated[
            Ids, Field(description="ids of those that may not; what is in neither may not, too")
        ] = (),
    ) -> Reply:
        """Say something to the agent, and get its reply.

        The agent learns from what follows its replies: go on by previous_response_id, and say
        plainly what you would rather have had ("shorter, please"). Where the reply has waiting
        calls, it goes on once they are allowed or refused: ask the person, not yourself.
        """
        said = input_of(message, approve, deny)
        body: Json = {"model": model, "input": said, "max_output_tokens": max_tokens}
        given = {
            "previous_response_id": previous_response_id,
            "instructions": instructions,
            "temperature": temperature,
        }
        body |= {name: value for name, value in given.items() if value is not None}
        events = service.respond(body, caller(ctx))
        return await _gathered(events, ctx, max_tokens)


def _add_rate(server: MCPServer[Any], service: Service, caller: Caller) -> None:
    @server.tool(
        title="Rate a reply",
        annotations=ToolAnnotations(
            read_only_hint=False,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )
    @answered
    async def rate(
        response_id: Annotated[str, Field(min_length=1, description="of a reply to you")],
        ctx: Context[Any, Any],
        score: Annotated[Literal[-1, 0, 1], Field(description="0: say it in words only")] = 0,
        hint: Annotated[
            str | None, Field(description='what it should have done: "Answer in one sentence."')
        ] = None,
    ) -> Rated:
        """Say what you think of a reply; the agent learns from it. The last word counts."""
        body: Json = {"score": score} | ({"hint": hint} if hint else {})
        await service.rate(response_id, body, caller(ctx))
        return Rated(response_id=response_id, score=score, hint=hint)


def _add_compare(server: MCPServer[Any], service: Service, caller: Caller) -> None:
    @server.tool(
        title="Compare two versions",
        annotations=ToolAnnotations(
            read_only_hint=True, idempotent_hint=False, open_world_hint=True
        ),
    )
    @answered
    async def compare(
        prompt: Annotated[str, Field(min_length=1, description="asked of both")],
        a: Which,
        b: Which,
        ctx: Context[Any, Any],
        instructions: Instructions = None,
        max_tokens: Tokens = 256,
        temperature: Annotated[float, Field(ge=0, le=2)] = 0.0,
        seed: Annotated[int, Field(description="the same for both")] = 0,
    ) -> Comparison:
        """Ask two versions the same, and show both answers. Nothing is learned from it.

        Both must be in the agent's memory: what serves, what is on trial, and the previous one.
        """
        said: list[Json] = [{"role": "system", "content": instructions}] if instructions else []
        body: Json = {
            "messages": [*said, {"role": "user", "content": prompt}],
            "max_completion_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }
        keys, found = caller(ctx), []
        for number, which in enumerate((a, b)):
            await ctx.report_progress(number, 2, f"asking {which}")
            found.append(await _asked(service, which, body, keys))
        await ctx.report_progress(2, 2)
        return Comparison(
            prompt=prompt, a=found[0], b=found[1], same=found[0].text == found[1].text
        )


async def _gathered(
    events: Any,
    ctx: Context[Any, Any],
    max_tokens: int,
    clock: Callable[[], float] = time.monotonic,
) -> Reply:
    """Read a response to its end, and tell how far it has come."""
    pieces, told_s, ended = 0, float("-inf"), None
    async with aclosing(events) as coming:
        async for event in coming:
            kind = event["type"]
            if kind == "response.output_text.delta":
                pieces += 1
                if clock() - told_s >= PROGRESS_S:
                    told_s = clock()
                    await ctx.report_progress(pieces, max_tokens, f"{pieces} pieces of text")
            elif kind in ("response.failed", "error"):
                raise RefusedError(_failure(event))
            elif kind in ("response.completed", "response.incomplete", "response.cancelled"):
                ended = event["response"]
    if ended is None:
        raise RefusedError("the agent broke off before the reply was whole: ask again")
    return reply_of(ended)


def input_of(message: str, approve: Sequence[str], deny: Sequence[str]) -> str | list[Json]:
    """What the agent is told: what somebody says, and of which calls. Raises: RefusedError."""
    if both := set(approve) & set(deny):
        raise RefusedError(f"{min(both)[:100]!r} is both in approve and in deny: say one of them")
    if not (message or approve or deny):
        raise RefusedError("nothing was said: give a message, or say what to approve or deny")
    said: list[Json] = [
        {"type": "mcp_approval_response", "approval_request_id": id, "approve": may}
        for ids, may in ((approve, True), (deny, False))
        for id in ids
    ]
    if not said:
        return message
    return [*said, {"role": "user", "content": message}] if message else said


def reply_of(response: Json) -> Reply:
    """A response of the agent's as this server tells it."""
    texts = [
        part["text"]
        for item in response["output"]
        if item["type"] == "message"
        for part in item["content"]
    ]
    usage = response.get("usage") or {}
    return Reply(
        text="\n".join(text for text in texts if text),
        response_id=response["id"],
        version=response.get("system_fingerprint"),
        status=response["status"],
        input_tokens=usage.get("input_tokens", 0),
        output_tokens=usage.get("output_tokens", 0),
        calls=[
            MadeCall(
                server=item["server_label"],
                tool=item["name"],
                arguments=item["arguments"],
                output=item.get("output"),
                error=item.get("error"),
            )
            for item in response["output"]
            if item["type"] == "mcp_call"
        ],
        waiting=[
            WaitingCall(
                id=item["id"],
                server=item["server_label"],
                tool=item["name"],
                arguments=item["arguments"],
            )
            for item in response["output"]
            if item["type"] == "mcp_approval_request"
        ],
    )


async def _asked(service: Service, which: str, body: Json, keys: HeldKeys) -> Answered:
    """One side of a comparison."""
    model = which if which.partition("@")[0] == ONE_MODEL else f"{ONE_MODEL}@{which}"
    try:
        told = await service.complete(body | {"model": model}, keys)
    except RefusedError as cause:
        if cause.status != 404:
            raise
        names = ", ".join(await service.models(keys))
        raise RefusedError(
            f"{model} cannot be asked: {cause}; in memory are {names}", status=404
        ) from cause
    choice = told["choices"][0]
    return Answered(
        model=model,
        version=told.get("system_fingerprint"),
        text=choice["message"]["content"] or "",
        finish_reason=choice["finish_reason"],
        output_tokens=told["usage"]["completion_tokens"],
    )


def _failure(event: Json) -> str:
    error = (event.get("response") or event).get("error") or {}
    return f"the reply failed: {error.get('message') or 'the agent did not say why'}"

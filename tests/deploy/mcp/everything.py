"""Our MCP server with what the conformance suite expects to find beside our own tools.

The suite tests a server by tools, prompts and resources of fixed names. They are added to the
server that `quickset mcp` assembles, and served by its own code: transport, keys, errors.

python -m tests.deploy.mcp.everything ADDRESS-FILE
"""

import base64
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp.types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import BaseModel, Field

from agent.settings import AgentSettings
from deploy.mcp.calls import of_request
from deploy.mcp.serve import build_app, listen, serve
from deploy.mcp.server import build_server
from deploy.mcp.service import Service

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
WAV = base64.b64encode(b"RIFF" + bytes(4) + b"WAVEfmt " + bytes(24) + b"data" + bytes(4))
SOUND = AudioContent(type="audio", data=WAV.decode(), mime_type="audio/wav")
PICTURE = ImageContent(type="image", data=base64.b64encode(PNG).decode(), mime_type="image/png")


class Kept(EventStore):
    """Events in memory, so that a stream that was closed goes on."""

    def __init__(self) -> None:
        self._events: list[tuple[StreamId, Any]] = []

    async def store_event(self, stream_id: StreamId, message: Any) -> EventId:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(
        self, last_event_id: EventId, send_callback: EventCallback
    ) -> StreamId | None:
        number = int(last_event_id)
        stream = self._events[number - 1][0]
        for place, (owner, message) in enumerate(self._events[number:], number + 1):
            if owner == stream and message is not None:
                await send_callback(EventMessage(message, str(place)))
        return stream


def resource(uri: str, text: str, kind: str = "text/plain") -> EmbeddedResource:
    contents = TextResourceContents(uri=uri, mime_type=kind, text=text)
    return EmbeddedResource(type="resource", resource=contents)


def add_tools(server: MCPServer[Any]) -> None:
    """The tools that the suite calls."""

    @server.tool()
    def test_simple_text() -> str:
        """Say a simple text."""
        return "This is a simple text response for testing."

    @server.tool(structured_output=False)
    def test_image_content() -> Image:
        """Show a picture."""
        return Image(data=PNG, format="png")

    @server.tool(structured_output=False)
    def test_audio_content() -> CallToolResult:
        """Play a sound."""
        return CallToolResult(content=[SOUND])

    @server.tool(structured_output=False)
    def test_embedded_resource() -> CallToolResult:
        """Give a resource."""
        text = "This is an embedded resource content."
        return CallToolResult(content=[resource("test://embedded-resource", text)])

    @server.tool(structured_output=False)
    def test_multiple_content_types() -> CallToolResult:
        """Give one of each."""
        text = TextContent(type="text", text="Multiple content types test:")
        body = '{"test":"data","value":123}'
        mixed = resource("test://mixed-content-resource", body, "application/json")
        return CallToolResult(content=[text, PICTURE, mixed])

    @server.tool()
    async def test_tool_with_logging(ctx: Context[Any, Any]) -> str:
        """Say what it does."""
        for text in ("started", "processing data", "completed"):
            said = "Tool " + text if text.startswith("proc") else "Tool execution " + text
            await ctx.info(said)
            await anyio.sleep(0.05)
        return "logged"

    @server.tool()
    async def test_tool_with_progress(ctx: Context[Any, Any]) -> str:
        """Say how far it has come."""
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100)
            await anyio.sleep(0.05)
        return "done"

    @server.tool()
    def test_error_handling() -> str:
        """Fail."""
        raise ToolError("This tool intentionally returns an error for testing")

    @server.tool()
    async def test_reconnection(ctx: Context[Any, Any]) -> str:
        """Close its stream in between."""
        await ctx.close_sse_stream()
        await anyio.sleep(0.1)
        return "Reconnection test completed"


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    city: str


class User(BaseModel):
    """What a person is asked for."""

    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


def add_asking(server: MCPServer[Any]) -> None:
    """The tools that ask the client something."""

    @server.tool()
    async def test_sampling(prompt: str, ctx: Context[Any, Any]) -> str:
        """Ask the client's model."""
        said = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
        told = await ctx.session.create_message([said], max_tokens=100)
        return f"LLM response: {getattr(told.content, 'text', '')}"

    @server.tool()
    async def test_elicitation(message: str, ctx: Context[Any, Any]) -> str:
        """Ask the client's user."""
        told = await ctx.elicit(message, User)
        return f"User response: {told}"

    async def asked(ctx: Context[Any, Any], properties: dict[str, Any]) -> str:
        schema = {"type": "object", "properties": properties, "required": []}
        told = await ctx.session.elicit_form("Please fill in", schema, ctx.request_id)
        return f"Elicitation completed: action={told.action}, content={told.content}"

    @server.tool()
    async def test_elicitation_sep1034_defaults(ctx: Context[Any, Any]) -> str:
        """Ask with defaults."""
        states = ["active", "inactive", "pending"]
        return await asked(
            ctx,
            {
                "name": {"type": "string", "default": "John Doe"},
                "age": {"type": "integer", "default": 30},
                "score": {"type": "number", "default": 95.5},
                "status": {"type": "string", "enum": states, "default": "active"},
                "verified": {"type": "boolean", "default": True},
            },
        )

    @server.tool()
    async def test_elicitation_sep1330_enums(ctx: Context[Any, Any]) -> str:
        """Ask for choices of every form."""
        plain = ["option1", "option2", "option3"]
        titled = [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]
        names = ["Option One", "Option Two", "Option Three"]
        legacy = {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": names}
        return await asked(
            ctx,
            {
                "untitledSingle": {"type": "string", "enum": plain},
                "titledSingle": {"type": "string", "oneOf": titled},
                "legacyEnum": legacy,
                "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
                "titledMulti": {"type": "array", "items": {"anyOf": titled}},
            },
        )


def add_schema(server: MCPServer[Any]) -> None:
    """The tool whose schema has the keywords of 2020-12."""

    @server.tool(name="json_schema_2020_12_tool")
    def with_schema(name: str = "", address: Address | None = None) -> str:
        """Tool with JSON Schema 2020-12 features"""
        return f"{name} {address}"

    tool = server._tool_manager.get_tool("json_schema_2020_12_tool")
    assert tool is not None
    text = {"type": "string"}
    tool.parameters = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"type": "object", "properties": {"street": text, "city": text}}},
        "properties": {"name": text, "address": {"$ref": "#/$defs/address"}},
        "additionalProperties": False,
    }


def add_reading(server: MCPServer[Any]) -> None:
    """The resources and prompts that the suite reads."""

    @server.resource("test://static-text", description="A text", mime_type="text/plain")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", description="A picture", mime_type="image/png")
    def static_binary() -> bytes:
        return PNG

    @server.resource("test://watched-resource", description="Watched", mime_type="text/plain")
    def watched() -> str:
        return "watched"

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        return f'{{"id":"{id}","templateTest":true,"data":"Data for ID: {id}"}}'

    @server.prompt()
    def test_simple_prompt() -> str:
        """A simple prompt."""
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """A prompt with arguments."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt()
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
        """A prompt with a resource."""
        embedded = resource(resourceUri, "Embedded resource content for testing.")
        return [UserMessage(embedded), UserMessage("Please process the embedded resource above.")]

    @server.prompt()
    def test_prompt_with_image() -> list[UserMessage]:
        """A prompt with a picture."""
        return [UserMessage(PICTURE), UserMessage("Please analyze the image above.")]


def add_older(server: MCPServer[Any]) -> None:
    """Endpoints of versions before 2026-07-28 that our server has no use for."""

    async def done(*_: Any) -> EmptyResult:
        return EmptyResult()

    low = server._lowlevel_server
    low.add_request_handler("logging/setLevel", SetLevelRequestParams, done)
    low.add_request_handler("resources/subscribe", SubscribeRequestParams, done)
    low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, done)


def main(address_file: Path) -> None:
    """Serve on a free port, and write the address down."""
    service = Service("http://127.0.0.1:1", "http://127.0.0.1:1")
    server = build_server(service, of_request, operates=True)
    for add in (add_tools, add_asking, add_schema, add_reading, add_older):
        add(server)
    app = build_app(server, AgentSettings(), "127.0.0.1", event_store=Kept(), retry_ms=100)
    listening = listen("127.0.0.1", 0)
    address_file.write_text(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp")
    anyio.run(serve, app, listening)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

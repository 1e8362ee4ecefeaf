"""The tools that a request for a response offers: functions of the client's, and servers of ours.

A tool of type mcp names a server of the agent's own. Its tools are offered without that, too; to
name it says that this client can be asked whether one may be called, and may say which, or demand
to be asked more often than the settings do. No other server is called for anybody.

Knows nothing of where tools are.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from agent.api.fields import ArgumentsSchema, Refused
from agent.http.form import Form, refuse
from agent.turn.ask import Chosen
from streams.records import Json

_OURS = "the agent calls its own servers alone: leave it out, and name one by its server_label"
_READ_ONLY = "name the tools by tool_names"


class FunctionTool(Form):
    """A function that the client runs; OpenAI's own tools are refused."""

    type: Literal["function"]
    name: str = Field(min_length=1, max_length=128)
    description: str | None = None
    parameters: ArgumentsSchema | None = None
    strict: bool | None = Field(None, description="false: of the schema, what can be is kept to")

    def record(self) -> Json:
        """The tool as the chat template and the wire records have it."""
        given = {"name": self.name, "description": self.description, "parameters": self.parameters}
        function = {name: value for name, value in given.items() if value is not None}
        return {"type": "function", "function": function}

    def told(self) -> Json:
        """The tool as a response says it again, with every field that clients look for."""
        return self.model_dump(mode="json") | {"strict": bool(self.strict)}


class ToolNames(Form):
    """Some tools of a server."""

    tool_names: list[str] | None = Field(None, description="none: all of them")
    read_only: Annotated[Any, Refused(_READ_ONLY, False)] = None


class ApprovalFilter(Form):
    """Of which tools each call needs somebody's approval."""

    always: ToolNames | None = None
    never: ToolNames | None = Field(None, description="those of the settings need it all the same")


ALL, NOTHING = ToolNames(), ToolNames(tool_names=[])


def _set(names: ToolNames) -> frozenset[str] | None:
    return None if names.tool_names is None else frozenset(names.tool_names)


def _names(value: Any) -> Any:
    return {"tool_names": value} if isinstance(value, list) else value


def _form(value: Any) -> str:
    return "<filter>" if isinstance(value, dict | Form) else "<word>"


Names = Annotated[
    ToolNames | None,
    BeforeValidator(_names, json_schema_input_type=list[str] | ToolNames | None),
]
Approval = Annotated[
    Annotated[Literal["always", "never"], Tag("<word>")]
    | Annotated[ApprovalFilter, Tag("<filter>")],
    Discriminator(_form),
]


class McpTool(Form):
    """A server of the agent's own."""

    type: Literal["mcp"]
    server_label: str = Field(min_length=1, description="its name in agent.tools")
    server_description: str | None = Field(None, description="ignored")
    allowed_tools: Names = None
    require_approval: Approval | None = Field(
        None, description="what the settings ask for needs it all the same"
    )
    server_url: Annotated[Any, Refused(_OURS)] = None
    connector_id: Annotated[Any, Refused(_OURS)] = None
    tunnel_id: Annotated[Any, Refused(_OURS)] = None
    authorization: Annotated[Any, Refused(_OURS)] = None
    headers: Annotated[Any, Refused(_OURS, {})] = None

    def chosen(self) -> Chosen:
        """What is said of the server."""
        asked, approval = self.require_approval, NOTHING
        if isinstance(asked, ApprovalFilter):
            approval = asked.always or NOTHING
        elif asked == "always":
            approval = ALL
        return Chosen(_set(self.allowed_tools or ALL), _set(approval))

    def told(self) -> Json:
        """The tool as a response says it again."""
        return self.model_dump(mode="json", exclude_none=True)


def _kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "<mcp>" if kind == "mcp" else "<function>"


def _known(value: Any) -> Any:
    if isinstance(value, dict) and value.get("type", "function") not in ("function", "mcp"):
        refuse("type: a built-in tool is not run here: offer a function")
    return value


Tool = Annotated[
    Annotated[FunctionTool, Tag("<function>")] | Annotated[McpTool, Tag("<mcp>")],
    Discriminator(_kind),
    BeforeValidator(_known),
]

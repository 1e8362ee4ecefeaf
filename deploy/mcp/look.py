"""Tools that show what serves, what is on trial and what was learned, as the console tells it."""

from collections.abc import Iterable
from typing import Annotated, Any, Final

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.types import ToolAnnotations
from pydantic import Field

from deploy.errors import RefusedError
from deploy.mcp.calls import Caller, answered
from deploy.mcp.service import Json, Service
from deploy.mcp.told import Lesson, Lessons, RolloutStatus, Version, Versions, VersionShown

LOOKS: Final = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
Limit = Annotated[int, Field(ge=1, le=60, description="how many, the newest first")]


def add_look(server: MCPServer[Any], service: Service, caller: Caller) -> None:
    """Add these tools to a server."""

    @server.tool(title="List versions", annotations=LOOKS)
    @answered
    async def versions(ctx: Context[Any, Any], limit: Limit = 20) -> Versions:
        """List the versions of the model, which one serves, and why others were held back."""
        state = await service.state(caller(ctx))
        line, serving = served(state)
        trial = serving.get("trial") or {}
        rows = section(state, "versions")
        return Versions(
            line=line,
            serving=serving["version"],
            previous=serving["previous"],
            candidate=trial.get("version"),
            versions=[_version(row, serving["version"]) for row in rows[:limit]],
        )

    @server.tool(title="Show a version", annotations=LOOKS)
    @answered
    async def version(
        name: Annotated[
            str, Field(min_length=1, description="its number, its name, or how that begins")
        ],
        ctx: Context[Any, Any],
    ) -> VersionShown:
        """Show one version: its recipe, what the gate measured, and what became of it."""
        return shown(await service.state(caller(ctx)), name)

    @server.tool(title="Rollout status", annotations=LOOKS)
    @answered
    async def rollout_status(ctx: Context[Any, Any]) -> RolloutStatus:
        """Say what serves, what is on trial with which share, and why it isn't promoted yet."""
        return status_of(await service.state(caller(ctx)))

    @server.tool(title="List lessons", annotations=LOOKS)
    @answered
    async def lessons(ctx: Context[Any, Any], limit: Limit = 20) -> Lessons:
        """List what people wished: what became of it, by which versions, and whether it helped."""
        rows = section(await service.state(caller(ctx)), "lessons")
        return Lessons(lessons=[_lesson(row) for row in rows[:limit]])


def served(state: Json) -> tuple[str, Json]:
    """The line that the agent serves, and what the console says of it."""
    line, serving = next(iter(state["serving"].items()))
    return line, serving


def section(state: Json, name: str) -> list[Json]:
    """A section that comes from the learner's store. Raises: RefusedError while that is away."""
    if name not in state:
        raise RefusedError(state["store"]["message"])
    rows: list[Json] = state[name]
    return rows


def shown(state: Json, name: str) -> VersionShown:
    """One version, by number, name, or how that begins. Raises: RefusedError, saying what to do."""
    _, serving = served(state)
    rows = section(state, "versions")
    number = name.lstrip("0") or "0"  # compared as text: not all that is a digit is read as one
    found = [row for row in rows if str(row["number"]) == number]
    found = found or [row for row in rows if row["version"].startswith(name)]
    if not found and name and serving["version"].startswith(name):
        return VersionShown(version=serving["version"], serving=True, known={})  # the base
    if len(found) != 1:
        count = "no version matches" if not found else f"{len(found)} versions match"
        raise RefusedError(f"{count} {name[:100]!r}: the tool versions lists them")
    row = found[0]
    made = [each for each in section(state, "generations") if each["child"] == row["version"]]
    return VersionShown(
        version=row["version"],
        serving=row["version"] == serving["version"],
        known=row,
        generation=made[0] if made else None,
    )


def status_of(state: Json) -> RolloutStatus:
    """What serves, and how the trial stands."""
    line, serving = served(state)
    trial = serving.get("trial") or {}
    looks: Iterable[Json] = state.get("trials") or ()
    seen = [each for each in looks if each["line"] == line]
    body = seen[0]["body"] if seen and seen[0]["candidate"] == trial.get("version") else None
    return RolloutStatus(
        line=line,
        serving=serving["version"],
        previous=serving["previous"],
        seq=serving["seq"],
        candidate=trial.get("version"),
        state=trial.get("state"),
        share=trial.get("share"),
        why=(body or {}).get("why"),
        possible=[*trial.get("verbs", ()), *(["rollback"] if serving["previous"] else [])],
        evidence=body,
        changes=(state.get("rollouts") or [])[:10],
    )


def _version(row: Json, serving: str) -> Version:
    became = row.get("became") or {"became": row.get("outcome"), "reason": row.get("reason")}
    return Version(
        version=row["version"],
        number=row["number"],
        parent=row["parent"],
        serving=row["version"] == serving,
        outcome=became["became"],
        reason=became["reason"],
        created_ms=row["created_ms"],
    )


def _lesson(row: Json) -> Lesson:
    return Lesson(
        id=row["id"],
        turn_id=row["turn_id"],
        instruction=row["instruction"],
        state="waits" if row["waits"] and row["state"] == "active" else row["state"],
        reason=row["reason"] or row["refused"] or row["rejected"],
        rewritten=row["source"],
        versions=row["versions"],
        complaints=row["num_complaints"],
        pleased=row["num_pleased"],
        note=row["note"],
        created_ms=row["created_ms"],
    )

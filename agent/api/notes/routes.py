"""The endpoints of notes; where notes do not act, there are none of them."""

from aiohttp import web

from agent.api.notes.schema import NoteDeleted, NoteList, shown
from agent.api.openai import ErrorBody
from agent.api.operation import Operation
from agent.api.serve import SERVICE, admit


async def list_notes(request: web.Request) -> web.Response:
    """List the notes of whoever asks."""
    service = request.app[SERVICE]
    principal = admit(request)
    found: NoteList = {
        "object": "list",
        "data": [shown(note) for note in service.notes.of(principal)],
    }
    return web.json_response(found)


async def delete_note(request: web.Request) -> web.Response:
    """Take a note away; taking it away again is no fault."""
    service = request.app[SERVICE]
    principal = admit(request)
    id = request.match_info["id"]
    await service.notes.remove(id, principal)
    gone: NoteDeleted = {"id": id, "deleted": True}
    return web.json_response(gone)


OPERATIONS = (
    Operation(
        "GET",
        "/notes",
        list_notes,
        "List what stands in one's prompts",
        "Notes",
        answer=NoteList,
        error=ErrorBody,
    ),
    Operation(
        "DELETE",
        "/notes/{id}",
        delete_note,
        "Take a note away",
        "Notes",
        answer=NoteDeleted,
        error=ErrorBody,
    ),
)

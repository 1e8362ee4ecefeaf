"""Turns endpoints into an OpenAPI 3.1 document: forms and types become schemas, each status told.

Knows no endpoint; nothing of HTTP.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from agent.api.operation import Operation, canonical
from streams.records import Json

REF: Final = "#/components/schemas/{model}"
_INFO: Final = {
    "title": "Quickset",
    "version": "1",
    "summary": "An LLM agent that keeps training on its own conversations while it serves.",
    "description": (
        "What begins with /v1 is there without it, too. A model is named quickset, "
        "quickset@stable, quickset@previous, quickset@candidate or quickset@<version>."
    ),
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_MEANING: Final = {
    400: "A parameter is wrong, or asks for what this server has not; the message names it.",
    401: "The API key is missing or unknown.",
    403: "A page of an origin that may not call this server.",
    404: "There is no such model, response or path.",
    413: "The body is too large.",
    429: "The queue is full, or the key is over its limits; Retry-After says when to come back.",
    500: "A fault of the server; its log has the reason.",
    503: "The server is starting or stopping, or cannot reach what it needs.",
}
# What a request of an API that replies may say of itself.
_HEADERS: Final[Mapping[str, Json]] = {
    "X-Session-Id": {"type": "string", "maxLength": 256, "pattern": "^[!-~]*$"},
    "X-Turn-Type": {"enum": ["main", "side"]},
    "X-Learn": {"enum": ["on", "off"]},
}

Mode = Literal["validation", "serialization"]


@dataclass(frozen=True, slots=True)
class About:
    """What a document says of the API as a whole.

    keys: its ways to prove a key, by their names in OpenAPI
    meaning: what a status means here, where it is not what it means in the API for clients
    """

    info: Json
    keys: Mapping[str, Json]
    meaning: Mapping[int, str] = field(default_factory=dict)


FOR_CLIENTS: Final = About(_INFO, _SECURITY)


def document(operations: Sequence[Operation], about: About = FOR_CLIENTS) -> Json:
    """The document of these endpoints."""
    schemas = _Schemas(operations)
    paths: dict[str, Json] = {}
    for operation in operations:
        path = canonical(operation.path)
        place = paths.setdefault(f"/v1{path}" if operation.versioned else path, {})
        place[operation.method.lower()] = _operation(operation, schemas, about)
        _link(place[operation.method.lower()], operation, operations)
    told = _used(paths, schemas.definitions)
    return {
        "openapi": "3.1.0",
        "info": about.info,
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in operations)],
        "paths": paths,
        "components": {"schemas": told, "securitySchemes": dict(about.keys)},
    }


def _used(paths: Json, definitions: Mapping[str, Json]) -> dict[str, Json]:
    """The definitions that something refers to, by way of others, too."""
    used: dict[str, Json] = {}
    open_names = _named(paths)
    while open_names:
        name = open_names.pop()
        if name not in used:
            used[name] = definitions[name]
            open_names |= _named(definitions[name])
    return dict(sorted(used.items()))


def _named(part: Json) -> set[str]:
    return set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(part)))


class _Schemas:
    """The schemas of everything that some endpoints take and answer."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        kinds = {
            (kind, mode): TypeAdapter[Any](kind)
            for operation in operations
            for kind, mode in _kinds(operation)
        }
        inputs = [(kind, mode, adapter) for (kind, mode), adapter in kinds.items()]
        self._schemas, shared = TypeAdapter.json_schemas(inputs, ref_template=REF)
        self.definitions: dict[str, Json] = shared.get("$defs", {})

    def of(self, kind: Any, mode: Mode = "serialization") -> Json:
        """The schema of a form or a type, mostly a reference."""
        return dict(self._schemas[kind, mode])

    def properties(self, form: Any) -> Iterable[tuple[str, Json, bool]]:
        """The fields of a form: name, schema, whether it is needed."""
        schema = self.of(form, "validation")
        if "$ref" in schema:
            schema = self.definitions[schema["$ref"].rpartition("/")[2]]
        for name, each in schema.get("properties", {}).items():
            yield name, each, name in schema.get("required", [])


def _kinds(operation: Operation) -> Iterable[tuple[Any, Mode]]:
    for form in (operation.body, operation.query):
        if form is not None:
            yield form, "validation"
    for kind in (operation.answer, operation.events, operation.error):
        if kind is not None:
            yield kind, "serialization"


def _id(operation: Operation) -> str:
    words = re.sub(r"\W+", "_", canonical(operation.path)).strip("_")
    return f"{operation.method.lower()}_{words}"


def _link(told: Json, operation: Operation, operations: Sequence[Operation]) -> None:
    """Say which endpoints the id of an answer belongs into."""
    for other in operations:
        if other.path in operation.gives:
            (name,) = re.findall(r"\{(\w+)\}", canonical(other.path))
            link = {"operationId": _id(other), "parameters": {name: "$response.body#/id"}}
            for status in operation.succeeds:
                told["responses"][str(int(status))].setdefault("links", {})[_id(other)] = link


def _operation(operation: Operation, schemas: _Schemas, about: About) -> Json:
    meaning = {**_MEANING, **about.meaning}
    keys: list[Json] = [{name: []} for name in about.keys]
    told: Json = {
        "operationId": _id(operation),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": list(_parameters(operation, schemas)),
        "responses": {
            str(int(status)): _answer(operation, schemas) for status in operation.succeeds
        }
        | {
            str(int(status)): _failure(operation, status, schemas, meaning)
            for status in operation.errors
        },
        "security": [*keys, {}] if operation.asks_for_key else [],
    }
    if operation.body is not None:
        body = {"application/json": {"schema": schemas.of(operation.body, "validation")}}
        told["requestBody"] = {"required": True, "content": body}
    return told


def _parameters(operation: Operation, schemas: _Schemas) -> Iterable[Json]:
    for name in re.findall(r"\{(\w+)\}", canonical(operation.path)):
        yield {"name": name, "in": "path", "required": True, "schema": _values(operation, name)}
    if operation.query is not None:
        for name, schema, needed in schemas.properties(operation.query):
            yield {"name": name, "in": "query", "required": needed, "schema": schema}
    if operation.events is not None:
        for name, schema in _HEADERS.items():
            yield {"name": name, "in": "header", "schema": schema}


def _values(operation: Operation, name: str) -> Json:
    """The values of a parameter of a path: those that its pattern lists, or any text."""
    listed = re.search(rf"\{{{name}:([a-z|-]+)\}}", operation.path)
    return {"enum": listed[1].split("|")} if listed else {"type": "string"}


def _answer(operation: Operation, schemas: _Schemas) -> Json:
    if operation.answer is None:
        text = {"text/plain": {"schema": {"type": "string"}}}
        return {"description": "Text.", "content": text}
    content: Json = {"application/json": {"schema": schemas.of(operation.answer)}}
    if operation.events is not None:
        # one event, as OpenAPI 3.2 describes the items of a stream
        data: Json = {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": schemas.of(operation.events),
        }
        if operation.ends_with is not None:
            data = {"anyOf": [{"const": operation.ends_with}, data]}
        event = {
            "type": "object",
            "properties": {"event": {"type": "string"}, "data": data},
            "required": ["data"],
        }
        content["text/event-stream"] = {"schema": event}
    return {"description": "What was asked for.", "content": content}


def _failure(
    operation: Operation, status: int, schemas: _Schemas, meaning: Mapping[int, str]
) -> Json:
    schema = schemas.of(operation.error)
    description = meaning.get(int(status), HTTPStatus(status).phrase)
    return {"description": description, "content": {"application/json": {"schema": schema}}}

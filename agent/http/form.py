"""Checks the JSON of a body against a form; an error names the parameter as the client spells it.

A wrong type is never guessed at. Knows nothing of HTTP, nor of what any form means.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError

from agent.errors import InvalidError
from agent.http.body import read_json

_OF_TYPE: Final = "its type must be"
_COLLECTIONS: Final = ("list", "tuple", "set", "frozenset", "dict")


def _fail_fast(schema: Any) -> None:
    """Mark every collection in pydantic's own form of what is checked."""
    if isinstance(schema, dict):
        if schema.get("type") in _COLLECTIONS:
            schema["fail_fast"] = True
        for part in schema.values():
            _fail_fast(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            _fail_fast(part)


class Form(BaseModel):
    """Root of the bodies and their parts: strict types, unknown names ignored.

    Of a collection only the first item that is wrong is looked at, as only one error is told: a
    small body, unpacked, has room for a million of them.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Make the checks of a form, which end at a collection's first error."""
        schema = handler(source)
        _fail_fast(schema)
        return schema


class Query(Form):
    """Root of the queries behind a ? in an address: texts, read as what they stand for."""

    model_config = ConfigDict(strict=False)


Body = TypeVar("Body", bound=Form)


def refuse(message: str, **context: Any) -> NoReturn:
    """Refuse a value in a validator. message: may begin with "parameter: " to name a part."""
    raise PydanticCustomError("invalid", message, context or None)


def words(text: str | None) -> str | None:
    r"""The text without white space around it; None where nothing of it can be seen.

    >>> words(" Be brief.\n"), words(" \x00\u202e\n")
    ('Be brief.', None)
    """
    seen = (text or "").strip()
    return seen if any(each.isprintable() and not each.isspace() for each in seen) else None


def kind_of(value: Any) -> str:
    """The tag of a part whose form its type decides; for pydantic's Discriminator and Tag.

    >>> kind_of({"type": "text"}), kind_of("text")
    ('<text>', '<>')
    """
    if isinstance(value, Form):
        return f"<{getattr(value, 'type', '')}>"
    return f"<{value.get('type', '')}>" if isinstance(value, dict) else "<>"


def named_type(value: Any) -> str:
    """What a part that is refused calls itself, for the end of a sentence; empty: nothing.

    >>> named_type({"type": "image"}), named_type("image")
    (" (it is 'image')", '')
    """
    kind = value.get("type") if isinstance(value, dict) else None
    return f" (it is {kind[:40]!r})" if isinstance(kind, str) else ""


def read_form(form: type[Body], body: bytes) -> Body:
    """Check the bytes of a body. Raises: InvalidError, which names the parameter."""
    try:
        return form.model_validate(read_json(body))
    except ValidationError as cause:
        raise _invalid(cause) from None


def check(form: type[Body], value: Any) -> Body:
    """Check a part that has been read from JSON. Raises: InvalidError, naming the parameter."""
    try:
        return form.model_validate(value)
    except ValidationError as cause:
        raise _invalid(cause) from None


def read_query(form: type[Body], query: Mapping[str, str]) -> Body:
    """Check a query. Raises: InvalidError, which names the parameter.

    query: may hold a name more than once, as an address may; of one that the form has, all but one
        would be lost
    """
    names = Counter(name for name, _ in query.items())
    for name in form.model_fields:
        if names[name] > 1:
            raise InvalidError(f"{name}: send it once", param=name, code="invalid_value")
    try:
        return form.model_validate(dict(query))
    except ValidationError as cause:
        raise _invalid(cause) from None


def _invalid(cause: ValidationError) -> InvalidError:
    error = cause.errors(include_url=False, include_context=False)[0]
    path, message = _located(error)
    if error["type"] == "missing":
        return InvalidError(f"{path} is required", param=path, code="missing_required_parameter")
    said = f"{path}: {message}" if path else f"the whole {message}"
    return InvalidError(said, param=path or None, code="invalid_value")


def _located(error: ErrorDetails) -> tuple[str, str]:
    """Return the parameter as the client spells it, and the message without it."""
    message = "Must be an object" if error["type"] == "model_type" else error["msg"]
    if message.startswith(_OF_TYPE):
        message += named_type(error["input"])
    path = ""
    for part in error["loc"]:
        if isinstance(part, str) and part.startswith("<"):
            continue  # a tag of `kind_of`, which the client does not spell
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    if error["type"] == "invalid" and (whole := re.match(r"(\w+): ", message)):
        path, message = f"{path}.{whole[1]}", message[whole.end() :]
    return path.lstrip("."), message[0].lower() + message[1:]

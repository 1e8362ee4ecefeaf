"""Settings: from a TOML file, the environment and flags to one checked, immutable object.

Later sources win, field by field: defaults, then the file (./quickset.toml or --config), then the
environment (QUICKSET_AGENT__PORT=9000; DATABASE_URL is streams.store), then flags
(--set agent.port=9000). A variable may be one entry of a table (QUICKSET_AGENT__KEYS__ANN=…): it is
added to those of the file, where a whole table takes the place of the file's. Every value remembers
where it came from, so `quickset config` can tell.
An unknown name or two settings that contradict each other raise SettingsError, which names them.

Knows the sections that the packages declare, and nothing of what they mean beyond `conflicts`.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic_settings
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.sources import PydanticBaseSettingsSource

from agent.settings import AgentSettings
from deploy.errors import SettingsError
from deploy.settings.conflicts import conflicts
from learner.settings import LearnerSettings
from streams.settings import (
    ModelSettings,
    OtelSettings,
    RolloutSettings,
    StreamsSettings,
    masked,
)

PREFIX = "QUICKSET_"
DEFAULT_FILE = Path("quickset.toml")
_NO_TABLE = {"dict_type", "model_type", "model_attributes_type"}  # broken JSON of one, as a text
_SECRETIVE = {"keys", "operator_keys", "env", "headers"}  # what is in these may be a key
# secrets of whoever calls, read where they are used
NOT_SETTINGS = {"QUICKSET_OPERATOR_KEY", "QUICKSET_API_KEY"}


class Settings(BaseSettings):
    """All settings, one section a package."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    model: ModelSettings = ModelSettings()
    streams: StreamsSettings = StreamsSettings()
    agent: AgentSettings = AgentSettings()
    learner: LearnerSettings = LearnerSettings()
    rollout: RolloutSettings = RolloutSettings()
    otel: OtelSettings = OtelSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing implicitly: `load` asks each source itself, to know what came from where."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class InForce:
    """The settings in force, and where each value came from."""

    settings: Settings
    origins: Mapping[str, str]  # "agent.port" → "quickset.toml", a variable, a flag; else default
    arguments: tuple[str, ...]  # the flags that give a child process the same settings

    def origin(self, name: str) -> str:
        """Say where the value of `section.field` came from."""
        return self.origins.get(name, "default")

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """Return (name, value, origin) of every setting, section by section."""
        for section in Settings.model_fields:
            values = getattr(self.settings, section)
            for field in type(values).model_fields:
                name = f"{section}.{field}"
                yield name, getattr(values, field), self.origin(name)


def load(
    *, config: Path | None, environ: Mapping[str, str], flags: Mapping[str, tuple[str, str]]
) -> InForce:
    """Read the three sources, check the result, and remember what came from where.

    config: the TOML file; None reads ./quickset.toml when there is one
    flags: setting → (text, the flag as the user knows it), in growing strength
    raises: SettingsError, one line a fault
    """
    given: dict[str, tuple[Any, str]] = {}
    file = config or (DEFAULT_FILE if os.path.lexists(DEFAULT_FILE) else None)
    if file is not None:
        given |= _from_file(file)
    given |= _from_environ(environ, given)
    for name, (text, flag) in flags.items():
        given[name] = (_parse(name.split(".", 1), text, flag), flag)
    settings = _checked(given)
    arguments = ["--config", str(file)] if file is not None else []
    for name, (text, _) in flags.items():
        arguments += ["--set", f"{name}={text}"]
    origins = {name: origin for name, (_, origin) in given.items()}
    return InForce(settings=settings, origins=origins, arguments=tuple(arguments))


def _from_file(file: Path) -> dict[str, tuple[Any, str]]:
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as cause:
        raise SettingsError(f"cannot read {file}: {cause.strerror}") from cause
    except ValueError as cause:
        raise SettingsError(f"{file} is not valid TOML: {cause}") from cause
    given: dict[str, tuple[Any, str]] = {}
    for section, fields in tree.items():
        if not isinstance(fields, dict):
            raise SettingsError(f"{file}: {section!r} stands outside a section, such as [agent]")
        given |= {f"{section}.{field}": (value, str(file)) for field, value in fields.items()}
        if not fields and section not in Settings.model_fields:
            raise SettingsError(_unknown(section, str(file)))
    return given


def _from_environ(
    environ: Mapping[str, str], file: Mapping[str, tuple[Any, str]]
) -> dict[str, tuple[Any, str]]:
    given: dict[str, tuple[Any, str]] = {}
    # A whole table first, whatever order they come in: one entry of it is added to that.
    for variable, text in sorted(environ.items(), key=lambda each: each[0].count("__")):
        if not variable.upper().startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        path = _path(variable)
        name, value, origin = ".".join(path[:2]), _parse(path, text, variable), variable
        if len(path) > 2 and (table := given.get(name) or file.get(name)):  # …__KEYS__ANN
            value, origin = _merged(table[0], value), f"{table[1]}, {variable}"
        given[name] = (value, origin)
    url = environ.get("DATABASE_URL")
    if url:
        store, origin = given.get("streams.store", (url, ""))
        if store != url:
            raise SettingsError(f"DATABASE_URL and {origin} name different stores: set one of them")
        given["streams.store"] = (url, "DATABASE_URL")
    return given


def _path(variable: str) -> list[str]:
    """Return what a variable sets: section, field, an entry of it, that one's field, a name there.

    Variables are written in capitals and mean small letters. But an entry that is not in capitals
    alone is called as it is written; and so is whatever has no name of ours, such as a variable
    that a tool server is started with.
    """
    path = variable[len(PREFIX) :].split("__", 4)
    return [
        part if at == 4 or (at == 2 and not part.isupper()) else part.lower()
        for at, part in enumerate(path)
    ]


def _merged(table: Any, more: Any) -> Any:
    """Add entries to a table, of tables within it, too; what is no table is replaced."""
    if not (isinstance(table, dict) and isinstance(more, dict)):
        return more
    return table | {name: _merged(table.get(name), value) for name, value in more.items()}


def _parse(path: Sequence[str], text: str, origin: str) -> Any:
    """Read one setting's text as pydantic-settings reads a variable: lists and tables as JSON.

    path: section, field, and what of the field it is
    raises: SettingsError when it names no setting or its JSON is broken
    """
    name, section = ".".join(path), path[0]
    known = Settings.model_fields.get(section)
    if known is None or not any(path[1:2]):
        raise SettingsError(_unknown(name, origin))
    kind = type(known.default).model_fields.get(".".join(path[1:]))
    if text == "null" and kind is not None and kind.default is None:  # as `quickset config` says it
        return None
    if len(path) > 4:  # a name that is not ours is not taken apart
        path, text = path[:4], json.dumps({path[4]: text})
    source = EnvSettingsSource(Settings)
    source.env_vars = {PREFIX.lower() + "__".join(path): text}
    try:
        return source()[section][path[1]]
    except pydantic_settings.SettingsError as cause:
        raise SettingsError(f"{name} (from {origin}) is not valid JSON{_where(cause)}") from None


def _where(cause: BaseException) -> str:
    """Say where JSON is broken; never the text, which may hold a secret."""
    broken = cause.__cause__
    if not isinstance(broken, json.JSONDecodeError):
        return ""
    return f": {broken.msg}, line {broken.lineno}, column {broken.colno}"


def _checked(given: Mapping[str, tuple[Any, str]]) -> Settings:
    tree: dict[str, dict[str, Any]] = {}
    for name, (value, _) in given.items():
        section, _, field = name.partition(".")
        tree.setdefault(section, {})[field] = value
    try:
        settings = Settings(**tree)  # type: ignore[arg-type]  # plain trees, validated here
    except ValidationError as cause:
        faults = [_fault(error, given) for error in cause.errors(include_url=False)]
        raise SettingsError("\n".join(faults)) from cause
    sections = settings.streams, settings.agent, settings.learner, settings.rollout
    if contradictions := list(conflicts(*sections)):
        raise SettingsError("\n".join(contradictions))
    return settings


def _fault(error: ErrorDetails, given: Mapping[str, tuple[Any, str]]) -> str:
    where = [str(part) for part in error["loc"]]
    origin = next((o for n, (_, o) in given.items() if n == ".".join(where[:2])), None)
    origin = origin or next((o for n, (_, o) in given.items() if n.startswith(where[0] + ".")), "")
    if error["type"] == "extra_forbidden":
        return _unknown(".".join(where), origin)
    message = error["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{'.'.join(where)} (from {origin}): {message}{_got(error)}"


def _got(error: ErrorDetails) -> str:
    """Say what was given, but for what may be secret."""
    given, where = error["input"], error["loc"]
    if isinstance(given, dict):  # a table: its names tell enough
        return f", got {sorted(given)}"
    if error["type"] in _NO_TABLE or _SECRETIVE.intersection(where[:-1]):
        return ""
    # of a URL whose scheme is mistyped, too
    return ", got " + re.sub(r":(?!//).*@", ":***@", repr(masked(given)))


def _unknown(name: str, origin: str) -> str:
    known = [
        f"{section}.{field}"
        for section, info in Settings.model_fields.items()
        for field in type(info.default).model_fields
    ]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]}?" if close else "; `quickset config` lists all"
    return f"unknown setting {name} (from {origin}){hint}"

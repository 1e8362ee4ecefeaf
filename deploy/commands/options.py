"""The flags that every command has, turned into checked settings before the command runs.

A command takes `InForce` as its first argument; `with_settings` puts --config, --set and the named
flags in its place. Named flags are stronger than --set.
"""

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.errors import SettingsError
from deploy.settings.load import load

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file (TOML); without it ./quickset.toml, if there."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="One setting, such as agent.port=9000."),
]
Home = Annotated[str | None, typer.Option("--home", help="streams.home: folder of log and store.")]
Model = Annotated[str | None, typer.Option("--model", help="model.path: Hugging Face directory.")]
Port = Annotated[int | None, typer.Option("--port", help="agent.port: chat page and API.")]
ConsolePort = Annotated[
    int | None, typer.Option("--console-port", help="agent.console_port: the operators' console.")
]

FLAGS = {  # parameter → (annotation, the setting that it is)
    "home": (Home, "streams.home"),
    "model": (Model, "model.path"),
    "port": (Port, "agent.port"),
    "console_port": (ConsolePort, "agent.console_port"),
}


def with_settings(*flags: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command --config, --set and the named flags; it receives the settings in force first.

    flags: names from FLAGS
    raises: SettingsError from the command when the settings are not good
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())[1:]
        shared = {"config": Config, "sets": Set} | {name: FLAGS[name][0] for name in flags}

        @functools.wraps(command)
        def run(**given: Any) -> None:
            sets = given.pop("sets") or []
            named = {name: given.pop(name) for name in flags}
            config = given.pop("config")
            command(load(config=config, environ=os.environ, flags=_texts(sets, named)), **given)

        parameters = own + [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in shared.items()
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _texts(sets: list[str], named: dict[str, Any]) -> dict[str, tuple[str, str]]:
    texts: dict[str, tuple[str, str]] = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals or "." not in name:
            raise SettingsError(f"--set {text}: write it as section.name=value")
        texts[name] = (value, f"--set {name}")
    for name, value in named.items():
        if value is not None:
            texts[FLAGS[name][1]] = (str(value), f"--{name.replace('_', '-')}")
    return texts

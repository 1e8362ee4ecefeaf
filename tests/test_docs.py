"""The documents say what the code does: settings, endpoints, files, commands, links."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from agent.console import build_console
from agent.server import OPERATIONS
from deploy.cli import app
from deploy.settings.load import load
from deploy.settings.reference import markdown, shown
from tests.agent.console.rows import FakeService
from tests.bench.__main__ import names

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG", "BENCHMARKS", "EXPERIMENTS")


def section(title: str) -> str:
    """Return the text of one section of the README."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"README has no section {title}"
    return found[1]


def test_reference_of_settings_is_the_settings() -> None:
    """docs/SETTINGS.md is what `make docs` writes now."""
    assert (ROOT / "docs" / "SETTINGS.md").read_text(encoding="utf-8") == markdown()


def test_settings_in_the_readme_exist_with_their_defaults() -> None:
    """Every setting in the README's table is a real one, with its real default."""
    defaults = {
        name: json.dumps(shown(value), ensure_ascii=False)
        for name, value, _ in load(config=Path("/dev/null"), environ={}, flags={}).rows()
    }
    rows = re.findall(r"^\| `(\w+\.\w+)` \| `(.*?)` \|", section("Settings"), re.MULTILINE)
    assert len(rows) > 5
    assert [(name, value) for name, value in rows if defaults[name] != value] == []


def test_commands_in_the_readme_are_the_commands() -> None:
    """The README names every command of `quickset`, and no other."""
    named = set(re.findall(r"^    quickset (\w+)(?: \| (\w+))?", section("Commands"), re.MULTILINE))
    told = {name for pair in named for name in pair if name}
    real = {
        command.name or getattr(command.callback, "__name__", "")
        for command in app.registered_commands
    } | {group.name for group in app.registered_groups}
    subcommands = {"show", "status", "list", "rollback"}  # written as init | status behind a group
    assert told - subcommands == real


def command_lines() -> list[tuple[str, str]]:
    """Every command line of `quickset` in documents and in what we say, and where it stands."""
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    sources = [
        file
        for package in ("agent", "deploy", "learner", "streams")
        for file in (ROOT / package).rglob("*")
        if file.suffix in {".py", ".html", ".js", ".toml"}
    ]
    found = []
    for file in (*documents, *sources):
        text = file.read_text(encoding="utf-8")
        lines = re.findall(r"`quickset ([^`]{1,200})`", text)
        if file in documents:  # a block's line ends where its explanation begins
            lines += re.findall(r"^    quickset (.*?)(?=  |#|$)", text, re.MULTILINE)
        found += [(str(file.relative_to(ROOT)), " ".join(line.split())) for line in lines]
    return found


def faults(line: str) -> list[str]:
    """What of a command line there is not; words after a command, or in capitals, are values."""
    command = group = get_command(app)
    wrong = []
    for word in re.sub(r"[\[\]]", "", line).split():
        if word == "|":  # or another one of the same group
            command = group
        elif word.startswith("--"):
            known = {option for each in command.params for option in each.opts}
            wrong += [word] if word.partition("=")[0] not in known | {"--help"} else []
        elif isinstance(command, TyperGroup):
            group = command
            command = group.commands.get(word, group)
            wrong += [word] if command is group and not word.isupper() else []
    return wrong


def test_command_lines_can_be_given() -> None:
    """Whoever copies one from a document, or from a message, has a command that there is."""
    lines = command_lines()
    assert len(lines) > 100
    assert [(file, line) for file, line in lines if faults(line)] == []
    assert faults("rollouts status --seqq=1") == ["status", "--seqq=1"]
    assert faults("versions generations | safety --json") == []


def routes(part: str) -> set[str]:
    """The addresses of the API, or those of the console, files left out."""
    if part == "api":
        return {f"/v1{op.path}" if op.versioned else op.path for op in OPERATIONS}
    console = build_console(FakeService(), None).router.routes()
    found = {route.resource.canonical for route in console if route.resource is not None}
    return {each for each in found if not each.startswith(("/static/", "/console/", "/docs/"))}


@pytest.mark.parametrize("part", ["api", "console"])
def test_endpoints_are_the_routes(part: str) -> None:
    """Every route of the API and of the console stands in the README."""
    told = set(re.findall(r"`(?:[A-Z]+ )?(/[^`]*)`", section("Endpoints")))
    bare = {re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route) for route in routes(part)}
    assert len(bare) > 4
    assert sorted(bare - told) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    """Every relative link and picture of a document is a file of the repository."""
    text = (ROOT / f"{name}.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_files_that_the_architecture_names_are_there() -> None:
    """One that is named without its folder lies beside the one before it."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = "agent|deploy|kernels|learner|streams|tests"
    named = re.findall(rf"(?<![\w./])((?:{rooms})(?:/\w+)+(?:\.py)?|\w+\.py)\b", text)
    assert len(named) > 100
    missing: list[str] = []
    beside = ROOT
    for name in named:
        path = ROOT / name if "/" in name else beside / name
        if path.suffix:
            beside = path.parent
        if not path.exists():
            missing.append(str(path.relative_to(ROOT)))
    assert missing == []


def test_the_benchmarks_are_all_named() -> None:
    """BENCHMARKS.md has a row for each that `make bench` runs, in their order."""
    text = (ROOT / "BENCHMARKS.md").read_text(encoding="utf-8")
    table = text.partition("| name |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == names()


def test_make_lists_its_targets() -> None:
    """`make` alone explains every target."""
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "up", "test", "test-slow", "bench", "demo", "check"):
        assert f"  {target} " in listed

"""Coding agents edit a file through this API, end to end: what a model would say is a script.

They are heavy, and come apart from all others, when they are asked for: aider from PyPI into a
virtual environment of its own (CLIENTS_AIDER=1, or AIDER names its program), opencode from npm
(CLIENTS_NPM=1, or OPENCODE names its program).
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.engine.contract import Request
from tests.agent.scripted import Script, ScriptedEngine
from tests.clients.kitchen import Kitchen
from tests.clients.live import Live, called, live
from tests.clients.recording import FOLDER, Recorded, Sent, recording

# Minutes, where other processes want the cores, too.
INSTALL_S, RUN_S = 1200, 500
TYPO, MENDED = "Hello, wrold!\n", "Hello, world!\n"
ASKED = "Fix the typo in hello.txt"
AIDER_EDIT = """\
I fix the typo.

hello.txt
```
<<<<<<< SEARCH
Hello, wrold!
=======
Hello, world!
>>>>>>> REPLACE
```
"""

AIDER_OPTIONS = (
    "--model", "openai/quickset", "--edit-format", "diff", "--yes-always", "--no-check-update",
    "--no-show-release-notes", "--no-show-model-warnings", "--no-gitignore",
    "--analytics-disable", "--no-detect-urls",
)  # fmt: skip
DONE = "Nothing is left to do: the file says what it should."

pytestmark = [pytest.mark.slow, pytest.mark.timeout(INSTALL_S + RUN_S)]


def tried(client: str, what: str) -> pytest.MarkDecorator:
    return pytest.mark.client(client, what, apart=True)


def asked(variable: str) -> bool:
    return os.environ.get(variable) == "1"


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Live]:
    """An API with room for what a coding agent sends."""
    with live(tmp_path / "quickset", context_tokens=8_192) as running:
        yield running


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    """The same, and what the learner makes of it."""
    with live(tmp_path / "quickset", context_tokens=8_192) as running:
        yield Kitchen(tmp_path / "quickset", running)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with a file to mend."""
    made = tmp_path / "work"
    made.mkdir()
    (made / "hello.txt").write_text(TYPO)
    for command in (
        ["init", "-q"], ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "A file"],
    ):  # fmt: skip
        subprocess.run(["git", *command], cwd=made, check=True)
    return made


def run(command: list[str], folder: Path, home: Path, *, typed: str = "", **env: str) -> str:
    """Run an agent to its end, with nothing of this machine's settings; return what it printed."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=RUN_S, check=False,
        input=typed, env={"PATH": os.environ["PATH"], "HOME": str(home)} | env,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def aider(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program aider."""
    if (named := os.environ.get("AIDER")) is not None:
        return named
    if not asked("CLIENTS_AIDER"):
        pytest.skip("aider: set CLIENTS_AIDER=1 (it installs a hundred packages from PyPI)")
    made = tmp_path_factory.mktemp("aider")
    venv.create(made, with_pip=True)
    subprocess.run(
        [made / "bin" / "pip", "install", "--quiet", "aider-chat"], check=True, timeout=INSTALL_S
    )
    return str(made / "bin" / "aider")


def keep(
    name: str, sent: Sequence[Sent], follows: list[int | None], *, version: str, home: Path
) -> None:
    """Write down what a client sent, where that is asked for (RECORD=1); home: named otherwise."""
    if asked("RECORD"):
        source = f"recorded by {Path(__file__).name}, of the program itself"
        file = FOLDER / f"{name}.json"
        Recorded(name, version, source, follows, list(sent)).write(file)
        file.write_text(file.read_text("utf-8").replace(str(home), "/home/ann"), "utf-8")


@tried("aider", "a file is edited, by its format diff")
def test_aider_edits_a_file(
    roomy: Live,
    folder: Path,
    tmp_path: Path,
    aider: str,
    record_property: Callable[[str, Any], None],
) -> None:
    """From a person's message to the file on disk."""
    roomy.play(AIDER_EDIT.splitlines(keepends=True))
    said = run(
        [aider, *AIDER_OPTIONS, "--no-auto-commits", "--message", ASKED, "hello.txt"],
        folder, tmp_path, OPENAI_API_BASE=f"{roomy.address}/v1", OPENAI_API_KEY="none",
    )  # fmt: skip
    assert (folder / "hello.txt").read_text() == MENDED
    record_property("versions", {"aider": aiders(said)})


def aiders(said: str) -> str:
    """The version that aider tells."""
    version = next(line.split()[1] for line in said.splitlines() if line.startswith("Aider v"))
    return version.removeprefix("v")


@tried("aider", "histories: a chat of three messages, with commits between them, links")
def test_aider_goes_on(
    kitchen: Kitchen,
    folder: Path,
    tmp_path: Path,
    aider: str,
    record_property: Callable[[str, Any], None],
) -> None:
    """Messages are typed one after the other; what it commits it has named by the model."""
    commit = ["fix: correct a typo"]
    kitchen.play(AIDER_EDIT.splitlines(keepends=True), commit, [DONE], ["As I said: nothing."])
    with recording(kitchen.api.address) as (address, sent):
        said = run(
            [aider, *AIDER_OPTIONS, "--no-pretty", "--no-fancy-input", "hello.txt"],
            folder, tmp_path, typed=f"{ASKED}\nIs there more?\nToo long. Shorter please.\n/exit\n",
            OPENAI_API_BASE=f"{address}/v1", OPENAI_API_KEY="none",
        )  # fmt: skip
    assert (folder / "hello.txt").read_text() == MENDED
    follows: list[int | None] = [None, None, 0, 2]
    keep("aider", sent, follows, version=aiders(said), home=tmp_path)
    record_property("versions", {"aider": aiders(said)})
    assert kitchen.followed() == [2, None, 3, None]


@pytest.fixture(scope="module")
def opencode(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program opencode."""
    if (named := os.environ.get("OPENCODE")) is not None:
        return named
    if not (asked("CLIENTS_NPM") and shutil.which("npm")):
        pytest.skip("opencode: set CLIENTS_NPM=1 where node and npm are (it installs from npm)")
    made = tmp_path_factory.mktemp("opencode")
    (made / "package.json").write_text('{"private": true}')
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--silent", "opencode-ai"],
        cwd=made, check=True, timeout=INSTALL_S,
    )  # fmt: skip
    return str(made / "node_modules" / ".bin" / "opencode")


def settled(folder: Path, home: Path, address: str) -> dict[str, str]:
    """Write opencode's settings; return its environment."""
    provider = {
        "npm": "@ai-sdk/openai-compatible", "name": "Quickset",
        "options": {"baseURL": f"{address}/v1", "apiKey": "none"},
        "models": {"quickset": {"name": "Quickset", "tool_call": True,
                                "limit": {"context": 8_192, "output": 2_048}}},
    }  # fmt: skip
    config = {
        "model": "quickset/quickset", "small_model": "quickset/quickset", "autoupdate": False,
        "share": "disabled", "provider": {"quickset": provider},
        "permission": {"edit": "allow", "bash": "deny", "webfetch": "deny"},
    }  # fmt: skip
    (folder / "opencode.json").write_text(json.dumps(config))
    kept = {f"XDG_{name}_HOME": str(home / name) for name in ("DATA", "CONFIG", "CACHE", "STATE")}
    return kept | {
        "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
    }  # fmt: skip


@tried("opencode", "a file is read and edited by its tools, and the work summed up")
def test_opencode_edits_a_file(
    roomy: Live,
    folder: Path,
    tmp_path: Path,
    opencode: str,
    record_property: Callable[[str, Any], None],
) -> None:
    """Its instructions and tools are thousands of tokens, in every request of its loop."""
    file = str(folder / "hello.txt")
    rounds: list[Script] = [
        called("read", filePath=file),
        called("edit", filePath=file, oldString="wrold", newString="world"),
        ["I fixed ", "the typo."],
    ]
    engine, sizes = roomy.engine, list[int]()
    assert isinstance(engine, ScriptedEngine)

    def choose(request: Request) -> Script | None:
        """The rounds in their order; its request for a title, a short one, comes at any time."""
        if len(request.prompt_token_ids) < 1000:
            return ["A typo"]
        sizes.append(len(request.prompt_token_ids))
        return rounds[min(len(sizes), len(rounds)) - 1]

    engine.choose = choose
    quiet = settled(folder, tmp_path, roomy.address)
    command = [opencode, "run", "--model", "quickset/quickset", ASKED]
    said = run(command, folder, tmp_path, **quiet)
    assert (folder / "hello.txt").read_text() == MENDED
    assert "I fixed the typo." in said
    assert len(sizes) == len(rounds)
    version = run([opencode, "--version"], folder, tmp_path, **quiet)
    record_property("versions", {"opencode": version.split()[-1]})
    print(f"{sizes[0]} words of a prompt", file=sys.stderr)


@tried("opencode", "histories: its loop of tools, and a message in the same session, link")
def test_opencode_goes_on(
    kitchen: Kitchen,
    folder: Path,
    tmp_path: Path,
    opencode: str,
    record_property: Callable[[str, Any], None],
) -> None:
    """Tools' results follow their calls; the next message, in another process, the last reply."""
    file = str(folder / "hello.txt")
    rounds: list[Script] = [
        called("read", filePath=file),
        called("edit", filePath=file, oldString="wrold", newString="world"),
        ["I fixed ", "the typo."],
        ["In short: fixed."],
    ]
    engine, asked_of = kitchen.api.engine, list[int]()
    assert isinstance(engine, ScriptedEngine)

    def choose(request: Request) -> Script | None:
        if len(request.prompt_token_ids) < 1000:
            return ["A typo"]
        asked_of.append(len(request.prompt_token_ids))
        return rounds[min(len(asked_of), len(rounds)) - 1]

    engine.choose = choose
    with recording(kitchen.api.address) as (address, sent):
        quiet = settled(folder, tmp_path, address)
        command = [opencode, "run", "--model", "quickset/quickset"]
        for said in ([ASKED], ["--continue", "Too long. Shorter please."]):
            run([*command, *said], folder, tmp_path, **quiet)
    version = run([opencode, "--version"], folder, tmp_path, **quiet).split()[-1]
    main = [place for place, each in enumerate(sent) if each.body.get("tools")]
    before = dict(zip(main[1:], main, strict=False))
    follows = [before.get(place) for place in range(len(sent))]
    keep("opencode", sent, follows, version=version, home=tmp_path)
    record_property("versions", {"opencode": version})
    assert len(main) == len(rounds)
    # opencode's request for a title runs beside the first: the order of the two is the clock's
    assert sorted(place is None for place in kitchen.followed()) == sorted(
        place not in before.values() for place in range(len(sent))
    )

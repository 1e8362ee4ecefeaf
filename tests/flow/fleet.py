"""Agents and a learner as an operator runs them: a process each, told apart by their settings."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.flow.service import QUICK, QUICKSET, ROOT, Api

LIMIT_S = 150.0  # for one step of a fleet: torch is loaded several times, on few cores


class Process(Api):
    """One process of a fleet. What it says goes to a file, of this start only."""

    def __init__(self, folder: Path, role: str, settings: Mapping[str, str]) -> None:
        """Describe it; `start` starts it, with `environ` in its environment."""
        self.environ: dict[str, str] = {}
        self._file, self._role = folder / "said.txt", role
        self._flags = [w for name, text in settings.items() for w in ("--set", f"{name}={text}")]
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start it; an agent answers when this returns."""
        environ = {n: text for n, text in os.environ.items() if not n.startswith("QUICKSET_")}
        with self._file.open("wb") as output:
            self._process = subprocess.Popen(
                [*QUICKSET, self._role, *self._flags],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environ | self.environ,
            )
        if self._role == "agent":
            self.api, self.console = self.said(r"API and chat page at (\S+), console at (\S+)")

    @property
    def text(self) -> str:
        """What it has said since its start."""
        return self._file.read_text(errors="replace")

    def said(self, pattern: str) -> tuple[str, ...]:
        """Wait until it has said something, and return the groups of the last time that it did."""
        deadline = time.monotonic() + LIMIT_S
        while not (found := re.findall(pattern, self.text)):
            ended = self._process is None or self._process.poll() is not None
            assert not ended, f"it ended; it said:\n{self.text}"
            assert time.monotonic() < deadline, f"waited for {pattern}; it said:\n{self.text}"
            time.sleep(0.05)
        return found[-1] if isinstance(found[-1], tuple) else (found[-1],)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and give its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(how)
        return self._process.wait(LIMIT_S)

    def serves(self, version: str) -> str:
        """Wait until an agent serves a version, and give the digest of the bits that it holds."""
        self.said(rf"swap: ({version}) serves after")
        return str(self.operator(f"versions/{version}/digest")["sha256"])

    def operator(self, path: str) -> Any:
        """Read the console's JSON."""
        with urllib.request.urlopen(f"{self.console}/operator/{path}") as answer:
            return json.load(answer)

    def quickset(self, *arguments: str) -> Any:
        """Run another command with this member's settings, and give the JSON that it prints."""
        command = [*QUICKSET, *arguments, "--json", *self._flags]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@contextmanager
def fleet(
    folder: Path, names: Mapping[str, str], settings: Mapping[str, str]
) -> Iterator[dict[str, Process]]:
    """Describe a fleet; whatever happens, nothing is left running.

    names: name → agent or learner
    settings: of all; a {name} in a value is replaced by the member's name
    """
    made = {}
    if "model.path" in settings:  # what is measured of it goes beside it, and not to the user's
        settings = {"model.cache": f"{Path(settings['model.path']).parent}/cache"} | dict(settings)
    for name, role in names.items():
        own = {key: text.replace("{name}", name) for key, text in {**QUICK, **settings}.items()}
        if role == "agent":
            # They read snapshots and write none, so that a test knows when the last was written.
            own["streams.snapshot_every"] = "1000"
        made[name] = Process(folder / name, role, own)
    try:
        yield made
    finally:
        for member in made.values():
            if member._process is not None:
                member.stop(signal.SIGKILL)

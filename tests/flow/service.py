"""`quickset up` as a person runs it: a process with children, a terminal to read, HTTP to use."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from deploy.cli import main

ROOT = Path(__file__).parents[2]
QUICKSET = (sys.executable, "-m", "deploy")
# Small in every respect, and no pauses: to see the loop turn, not to learn well.
QUICK = {
    "learner.turns_per_generation": "1",
    "learner.linger_s": "0",
    "learner.uses": "1",
    "learner.pairs": "2",
    "learner.last_layers": "2",
    "learner.max_reply_tokens": "16",
    "learner.drift_refusal": "0",
    "learner.held_out_fitness": "100",
    "learner.probes": '["finite", "odds", "refusal", "useful", "sense", "aboutness"]',
    "learner.watch_every": "0",
    "learner.gate_prompts": "1",
    "learner.gate_tokens": "4",
    "learner.gate_tolerance": "1",
    "learner.gate_odds_nats": "100",
    "learner.gate_sense_nats": "100",
    "learner.gate_aboutness_nats": "100",
    "learner.proved_lessons": "false",
    "learner.kl_budget": "5",
    "learner.cpu_share": "1",
    "agent.threads": "1",
    "agent.port": "0",
    "agent.console_port": "0",
}


class Api:
    """An agent's API at an address."""

    api: str

    def chat(self, *said: str, **options: Any) -> tuple[str, str]:
        """Ask (user and assistant in turns); give the reply and the version that answered."""
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(said)]
        body = {"model": "quickset", "messages": messages, "max_tokens": 16} | options
        request = urllib.request.Request(
            f"{self.api}/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            text = json.load(answer)["choices"][0]["message"]["content"]
            return text, answer.headers["X-Quickset-Version"]

    def correct(self, question: str, correction: str) -> str:
        """Ask, then correct the reply; give the version that was corrected.

        What follows a question may be its answer, and noise may end in one: it stops before.
        """
        reply, version = self.chat(question, temperature=0, stop=["?", "？"])
        self.chat(question, reply or "…", correction)
        return version


class Up(Api):
    """A running `quickset up`, with what it has said so far."""

    def __init__(self, process: "subprocess.Popen[str]", home: Path, flags: Sequence[str]) -> None:
        self.process = process
        self.home = home
        self.lines: list[str] = []
        self._flags = flags
        self.api = self.said(r"API\s+(http://\S+)/v1")
        self.console = self.said(r"console\s+(http://\S+)/$")

    def said(self, pattern: str) -> str:
        """Read on until a line matches, and return its first group, or the line.

        Ends with the test's own timeout, or when the process has closed its output.
        """
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if found := re.search(pattern, line.rstrip()):
                return found[1] if found.groups() else line
        raise AssertionError("\n".join(["it ended; it said:", *self.lines]))

    def quickset(self, *arguments: str) -> Any:
        """Run another command on the same home, and give the JSON that it prints.

        In this process, as a program of its own would load torch once more.
        """
        port = self.console.rpartition(":")[2]
        printed, code = io.StringIO(), None
        with redirect_stdout(printed):
            try:
                main([*arguments, *self._flags, "--set", f"agent.console_port={port}"])
            except SystemExit as end:
                code = end.code
        assert not code, f"{arguments} ended with {code}"
        told = printed.getvalue()
        return json.loads(told) if "--json" in arguments else told

    def child(self, name: str) -> int:
        """Return the process id of the agent or the learner."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and _parent(folder) == self.process.pid:
                command = (folder / "cmdline").read_bytes().split(b"\0")
                if name.encode() in command:
                    return int(folder.name)
        raise AssertionError(f"no {name} runs")

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Send a signal, read what is said until the end, and return the exit code."""
        self.process.send_signal(how)
        assert self.process.stdout is not None
        self.lines += [line.rstrip() for line in self.process.stdout]
        return self.process.wait()


@contextmanager
def up(
    home: Path, *, model: Path | None, without: Sequence[str] = (), **changes: str
) -> Iterator[Up]:
    """Start `quickset up` and wait until it is ready; whatever happens, nothing is left running.

    without: settings of QUICK that are left as they come
    """
    quick = {name: text for name, text in QUICK.items() if name not in without}
    settings = quick | {"streams.home": str(home)} | changes
    if model is not None:
        settings = {"model.cache": str(model.parent / "cache")} | settings
        settings["model.path"] = str(model)
    flags = [word for name, text in settings.items() for word in ("--set", f"{name}={text}")]
    process = subprocess.Popen(
        [*QUICKSET, "up", *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={name: text for name, text in os.environ.items() if not name.startswith("QUICKSET_")},
    )
    try:
        yield Up(process, home, flags)
    finally:
        if process.poll() is None:
            process.kill()  # its children see their input close, and stop
        process.communicate()


def gone(api: str, within_s: float = 30.0) -> bool:
    """Wait until nothing answers at an address any more; say whether that came to be."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{api}/health", timeout=1.0).close()
        except (urllib.error.URLError, OSError):
            return True
        time.sleep(0.05)
    return False


def _parent(folder: Path) -> int:
    try:
        return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it ended meanwhile
        return -1

"""Lets a program of the operator verify replies: its exit status is the verdict.

The program reads JSON from its standard input ({"messages", "tools", "reply"}), and ends with 0
where the reply is right, with `wrong_status` where it is wrong: 10 unless told otherwise, as
interpreters end with 1 when they fail themselves. Any other status, too much time or too much
memory is no verdict and is told as a failure. What it prints is not read.

It runs with bounded time, memory, files and file sizes (POSIX resource limits), in an empty folder,
without our environment; what it starts ends with it, unless it leaves its process group. That
bounds what a program does by mistake; it is no wall against one that means harm: the operator names
it, and a program that runs a reply's code must lock that in itself.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from learner.errors import NoVerdictError
from learner.judges.judge import Evidence, Judge, KindOfEvidence, Source, judgement_of
from learner.judges.verifying.verifier import concerns, said_by
from learner.options.hearing import Verifier
from learner.settings import LearnerSettings
from streams.records import Judgement, Turn

RIGHT: Final = 0
MAX_FILE_BYTES: Final = 2**20
MAX_FILES: Final = 64
MAX_INPUT_BYTES: Final = 2**22

# Limits are set by a fresh interpreter, which then becomes the program: a fork of a process that
# has threads may run next to nothing of Python. One that cannot be started ends with a status that
# is never a verdict.
_LAUNCHER: Final = """
import os, resource, sys
seconds, memory, files, size = map(int, sys.argv[1:5])
try:
    for name, limit in (
        (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, files), (resource.RLIMIT_FSIZE, size), (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(name, (limit, limit))
    os.execvp(sys.argv[5], sys.argv[5:])
finally:
    os._exit(127)
"""


class ProgramJudge:
    """Asks the first program whose question a turn has. Slow: not for the log's own thread."""

    source: Source = "program"
    reads: KindOfEvidence = Turn

    def __init__(self, verifiers: Sequence[Verifier]) -> None:
        """Take the verifiers that are programs."""
        self._verifiers = [each for each in verifiers if each.program]

    def judge(self, turn: Turn, evidence: Evidence) -> Judgement | None:
        """Return the program's verdict; None where no program is for this turn.

        raises: NoVerdictError
        """
        if not isinstance(evidence, Turn):
            return None
        verifier = next((each for each in self._verifiers if concerns(each, turn)), None)
        if verifier is None:
            return None
        status = run(verifier, turn)
        if status not in (RIGHT, verifier.wrong_status):
            raise NoVerdictError(
                f"{verifier.name} ended with {status}: {RIGHT} is right,"
                f" {verifier.wrong_status} is wrong"
            )
        told = f"{verifier.name} ended with {status}"
        return judgement_of(
            turn,
            self.source,
            said_by(turn) + told.encode(),
            score=1 if status == RIGHT else -1,
            confidence=1.0,
            evidence=told,
            created_ms=turn.created_ms,
        )


def open_judge(settings: LearnerSettings) -> Judge:
    """Open it with the verifiers of the settings."""
    return ProgramJudge(settings.verifiers)


def run(verifier: Verifier, turn: Turn) -> int:
    """Run a program on a turn and return its exit status, negative for a signal.

    raises: NoVerdictError when it takes too long, or cannot be started
    """
    given = turn.model_dump(mode="json", include={"messages", "tools", "reply"})
    limits = (max(1, int(verifier.timeout_s)), verifier.memory_mb * 2**20, MAX_FILES,
              MAX_FILE_BYTES)  # fmt: skip
    command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *map(str, limits), *verifier.program]
    with tempfile.TemporaryDirectory(prefix="quickset-verifier-") as folder:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": folder, "LANG": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            with suppress(BrokenPipeError):
                process.communicate(json.dumps(given).encode()[:MAX_INPUT_BYTES],
                                    timeout=verifier.timeout_s)  # fmt: skip
        except subprocess.TimeoutExpired:
            why = f"{verifier.name} took longer than {verifier.timeout_s:g} s"
            raise NoVerdictError(why) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it started, too
            process.communicate()
    return process.returncode

"""What is tried in the process ends there: by an answer, a limit or a fault, and never here."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent.constrain.open import open_compiler, read_vocabulary
from agent.errors import InvalidError
from agent.tools.hermes import HERMES
from agent.turn.held.constraint import Constraint, TextForm, TextKind
from agent.turn.proof.job import Job, done, written
from agent.turn.proof.prover import Bounds, LimitError, Prover, ProverLostError
from streams.model.open import BaseModel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded by Linux")


def job(kind: TextKind, body: Any) -> Job:
    return Job(Constraint("response_format", TextForm(kind, body)), (), HERMES)


def chained(number: int, rule: str) -> str:
    """Rules of which each names the next; {} stands for that."""
    named = [f"T{n}: {rule.format(f'T{n + 1}')}\n" for n in range(number)]
    return "".join(["start: T0\n", *named, f'T{number}: "b"\n'])


SLOW = job("grammar", chained(4000, '({} "a"?)*'))
PATTERNS = [{"pattern": f"w{n}.*x{n}"} for n in range(25)]
HOSTILE = {
    "stars in stars": SLOW,
    "GBNF": job("grammar", "root ::= r0\n" + "".join(
        f'r{n} ::= "a" r{n + 1} | "b"\n' for n in range(5000)) + 'r5000 ::= "c"\n'),
    "patterns that hold together": job("json_schema", {"type": "string", "allOf": PATTERNS}),
    "letters that may be left out": job("regex", "a?" * 10_000),
}  # fmt: skip


@pytest.fixture(scope="module")
def prover(tiny_base: BaseModel) -> Iterator[Prover]:
    made = Prover(read_vocabulary(tiny_base), Bounds(seconds=0.3, most_mb=64))
    yield made
    made.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_what_takes_too_much_is_ended_and_the_next_is_tried(prover: Prover, name: str) -> None:
    """In the same process, which a limit does not end."""
    prover.prove(written(job("regex", "a")))
    before = prover.pid
    with pytest.raises(LimitError) as found:
        prover.prove(written(HOSTILE[name]))
    assert found.value.limit in ("time", "memory")
    assert prover.prove(written(job("regex", "a"))) == {"tools": None}
    assert prover.pid == before


@pytest.mark.parametrize(
    "asked",
    [
        job("json_schema", {"type": "object", "properties": {"city": {"type": "strin"}}}),
        job("json_schema", {"items": {"pattern": "("}}),
        job("grammar", "start: x"),
        job("grammar", 'root ::= "x" | "y"'),
        job("regex", "[a-c]{2,4}"),
        job("choice", ("yes", "nö")),
        job("json_object", None),
    ],
)
def test_it_tells_what_is_told_here(prover: Prover, tiny_base: BaseModel, asked: Job) -> None:
    """The same fault with its place, or none."""
    compiler, expected = open_compiler(tiny_base), dict[str, Any]()
    try:
        done(asked, compiler)
        expected = {"tools": None}
    except InvalidError as cause:
        fault = {"message": cause.message, "param": cause.param, "code": cause.code}
        expected = {"fault": fault}
    assert prover.prove(written(asked)) == expected


def test_tools_that_were_eased_come_back(prover: Prover) -> None:
    """So that they are not searched for again."""
    bad = {"type": "function", "function": {"name": "f", "parameters": {"type": 1}}}
    asked = Job(Constraint("tools", None, ("f",), frozenset("f")), (bad,), HERMES, eases=True)
    eased = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    assert prover.prove(written(asked)) == {"tools": [eased]}


def test_one_that_was_killed_is_started_again(prover: Prover) -> None:
    """While it was idle."""
    prover.prove(written(job("regex", "a")))
    before = prover.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert prover.prove(written(job("regex", "a"))) == {"tools": None}
    assert prover.pid != before


def test_a_fault_of_the_compiler_ends_its_own_job(tiny_base: BaseModel) -> None:
    """A fork that dies by a signal is a refusal, and the process goes on."""
    prover = Prover(read_vocabulary(tiny_base), Bounds(seconds=30))
    prover.prove(written(job("regex", "a")))
    with ThreadPoolExecutor(1) as asking:
        answer = asking.submit(prover.prove, written(SLOW))
        os.kill(fork_of(prover), signal.SIGSEGV)
        with pytest.raises(LimitError, match="crash"):
            answer.result()
    assert prover.prove(written(job("regex", "a"))) == {"tools": None}
    prover.close()


def test_who_waits_for_it_is_told_when_it_is_closed(tiny_base: BaseModel) -> None:
    """A server that stops waits for no form, and leaves neither the process nor its fork."""
    prover = Prover(read_vocabulary(tiny_base), Bounds(seconds=30))
    prover.prove(written(job("regex", "a")))
    with ThreadPoolExecutor(1) as asking:
        answer = asking.submit(prover.prove, written(SLOW))
        fork = fork_of(prover)
        prover.close()
        with pytest.raises(ProverLostError, match="stops"):
            answer.result()
    assert prover.pid is None
    wait_until(lambda: gone(fork))
    with pytest.raises(ProverLostError):
        prover.prove(written(job("regex", "a")))


def test_a_machine_that_does_too_much_else_is_no_fault_of_a_form(tiny_base: BaseModel) -> None:
    """Who waits too long by the clock is told so, by no limit, and the fork is ended with it."""
    prover = Prover(read_vocabulary(tiny_base), Bounds(seconds=30, waited_s=30))
    prover.prove(written(job("regex", "a")))
    prover.bounds = Bounds(seconds=30, waited_s=0.5)
    with ThreadPoolExecutor(1) as asking:
        answer = asking.submit(prover.prove, written(SLOW))
        fork = fork_of(prover)
        with pytest.raises(ProverLostError, match="too much else"):
            answer.result()
    assert prover.pid is None
    wait_until(lambda: gone(fork))
    prover.close()


def test_one_that_is_killed_while_a_fork_works_is_missed_at_once(tiny_base: BaseModel) -> None:
    """The fork does not keep its pipe open, and is ended before another process is asked."""
    prover = Prover(read_vocabulary(tiny_base), Bounds(seconds=30))
    prover.prove(written(job("regex", "a")))
    with ThreadPoolExecutor(1) as asking:
        answer = asking.submit(prover.prove, written(SLOW))
        fork, killed = fork_of(prover), prover.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: gone(fork) and prover.pid not in (None, killed))
        prover.close()
        with pytest.raises(ProverLostError):
            answer.result()


SERVER = """
import sys, time
from agent.constrain.vocabulary import Vocabulary
from agent.turn.proof.prover import Prover
text = sys.stdin.read()
prover = Prover(Vocabulary(text, int(sys.argv[1]), (2,), {}))
prover.prove(b'{"asked": {"param": "x", "text": {"kind": "regex", "body": "a", "loose": false}, '
             b'"calls": [], "loose": []}, "tools": [], "form": "hermes"}')
print(prover.pid, flush=True)
time.sleep(100)
"""


def test_it_ends_with_the_server(tiny_base: BaseModel) -> None:
    """Killed, which tells nobody anything."""
    vocabulary = read_vocabulary(tiny_base)
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(vocabulary.num_tokens)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(vocabulary.tokenizer)
        server.stdin.close()
        pid = int(server.stdout.readline())
        assert not gone(pid)
        server.kill()
    wait_until(lambda: gone(pid))


def fork_of(prover: Prover) -> int:
    """Wait until a job is done in a fork. Returns: its number"""
    children = Path(f"/proc/{prover.pid}/task/{prover.pid}/children")
    wait_until(lambda: bool(children.read_text(encoding="ascii").split()))
    return int(children.read_text(encoding="ascii"))


def gone(pid: int) -> bool:
    """Whether a process has ended; where nobody takes in orphans, its number stays."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def wait_until(holds: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < ends_s
        time.sleep(0.01)

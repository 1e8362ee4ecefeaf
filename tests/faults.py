"""Runs every test of a stream's fault again and again, each round with another seed, and counts.

    python -m tests.faults [TIMES] [pytest arguments …]

A test says with the mark `fault` which fault it is; the marks `kafka` and `postgres` say what it
ran over. What is missing here is counted as skipped. The exit code is the number of failures, at
most 100. Also the pytest plugin that writes down how each of them ended.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).parent.parent
REPORT = "FAULT_REPORT"  # names the file that a round writes to
TIMES = 10
OVER = {"kafka": "Kafka", "postgres": "PostgreSQL"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note of each test which fault it is and what it runs over."""
    for item in items:
        fault = item.get_closest_marker("fault")
        if fault is not None:
            over = [name for mark, name in OVER.items() if item.get_closest_marker(mark)]
            item.user_properties += [
                ("fault", fault.args[0]),
                ("stack", ", ".join(over) or "embedded"),
            ]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write down how a test ended."""
    noted = dict(report.user_properties)
    if "fault" not in noted or (report.when != "call" and report.passed):
        return
    line = json.dumps([noted["fault"], noted["stack"], report.outcome, report.nodeid])
    with Path(os.environ[REPORT]).open("a") as file:
        file.write(line + "\n")


def run_round(number: int, arguments: list[str], folder: Path) -> list[tuple[str, str, str, str]]:
    """Run every fault once; give (fault, stack, outcome, test) of each."""
    report = folder / f"{number}.jsonl"
    report.touch()
    command = [
        sys.executable, "-m", "pytest", "-m", "fault", "-p", "tests.faults", "-q", "-rf",
        f"--hypothesis-seed={number}", *arguments,
    ]  # fmt: skip
    environ = os.environ | {REPORT: str(report), "FAULT_SEED": str(number)}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode not in (0, 5):
        print(done.stdout, flush=True)
    return [tuple(json.loads(line)) for line in report.read_text().splitlines()]


def main(arguments: list[str]) -> int:
    """Run the rounds, and print how often each fault was survived."""
    times = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else TIMES
    ended: Counter[tuple[str, str, str]] = Counter()
    with TemporaryDirectory(prefix="quickset-faults-") as folder:
        for number in range(times):
            began = time.monotonic()
            found = run_round(number, arguments, Path(folder))
            ended.update((fault, stack, outcome) for fault, stack, outcome, _ in found)
            failed = sum(outcome == "failed" for _, _, outcome, _ in found)
            took_s = time.monotonic() - began
            print(
                f"round {number}: {len(found)} tests, {failed} failed, {took_s:.0f} s", flush=True
            )
    print(f"\n{'fault':<52}{'over':<20}{'passed':>8}{'failed':>8}{'skipped':>8}")
    for fault, stack in sorted({(fault, stack) for fault, stack, _ in ended}):
        counts = [ended[fault, stack, outcome] for outcome in ("passed", "failed", "skipped")]
        print(f"{fault:<52}{stack:<20}" + "".join(f"{count:>8}" for count in counts))
    return min(100, sum(count for (_, _, outcome), count in ended.items() if outcome == "failed"))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

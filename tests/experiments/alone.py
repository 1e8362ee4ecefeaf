"""One person at home, under the policies direct and staged: how soon does what they teach serve?

Run: python -m tests.experiments.alone [--seconds 90]   (EXPERIMENTS, "One person at home")

A service on the bundled model, as `make up` starts it but for its ports, a gate of half as many
prompts, and no frozen units, which take minutes to measure. A scripted person asks one question
after the other, each in a conversation of its own, and corrects every reply that is longer than a
sentence. Printed are, a policy: seconds from the first correction until a version that was learned
answered them, and until one served all their conversations; versions made and versions that
served; and why the one on trial isn't promoted.
"""

import argparse
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from deploy.demo.user import load_prompts
from tests.flow.service import QUICK, Up, up

ASKED: Final = load_prompts().training
CORRECTION: Final = "Too long. Answer in one short sentence only, please."
# As it comes, but for what a test must choose: ports, and threads on a machine that is shared.
AS_IT_COMES: Final = ("agent.port", "agent.console_port", "agent.threads")
POLICIES: Final = {
    "direct": {"rollout.policy": "direct"},
    "staged": {"rollout.policy": "staged"},
    "staged, for one": {
        "rollout.policy": "staged", "rollout.steps": "[0.5]", "rollout.soak_s": "0",
        "rollout.min_principals": "2", "rollout.voice_turns": "1",
    },
}  # fmt: skip


def live(service: Up, seconds: float) -> str:
    """Let a person use it for so long, and say what came of it."""
    base = service.chat(ASKED[0])[1]
    began = time.monotonic()
    met_s = served_s = None
    for number in itertools.count():
        if time.monotonic() - began > seconds:
            break
        question = f"{ASKED[number % len(ASKED)]} ({number})"
        reply, version = service.chat(question, max_tokens=48)
        if version != base and met_s is None:
            met_s = time.monotonic() - began
        if served_s is None and serves(_shown(service), base):
            served_s = time.monotonic() - began
        if reply.count(".") > 1:
            service.chat(question, reply, CORRECTION, max_tokens=8)
    shown = _shown(service)
    made = service.quickset("versions", "list", "--json")
    changes = service.quickset("rollouts", "list", "--json", "--limit", "100")
    why = (shown["seen"] or {}).get("why") or shown["waits_for"]
    served = sum(each["state"] == "completed" for each in changes)
    return (
        f"met after {_told(met_s)}, served all after {_told(served_s)}; "
        f"{len(made)} versions made, {served} promoted; at the end: {why}"
    )


def serves(shown: dict[str, Any], base: str) -> bool:
    """Tell from `rollouts show` whether a version that was learned serves everybody.

    A line that has never changed names no version: its base serves.

    >>> [serves({"version": version}, "base") for version in (None, "base", "child")]
    [False, False, True]
    """
    return shown["version"] not in (None, base)


def _shown(service: Up) -> dict[str, Any]:
    try:
        found: dict[str, Any] = service.quickset("rollouts", "show", "--json")
    except AssertionError:  # the learner has not begun, so there is no store yet
        return {"version": None, "seen": None, "waits_for": "–"}
    return found


def _told(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.0f} s"


def main() -> None:
    """Print a line a policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=90, help="a policy")
    parser.add_argument("--policies", nargs="*", default=list(POLICIES), choices=POLICIES)
    given = parser.parse_args()
    quick = [name for name in QUICK if name not in AS_IT_COMES]
    for policy in given.policies:
        with tempfile.TemporaryDirectory() as folder:
            chosen = POLICIES[policy] | {"learner.gate_prompts": "4", "learner.frozen_share": "0"}
            with up(Path(folder), model=None, without=quick, **chosen) as running:
                print(f"{policy}: {live(running, given.seconds)}", flush=True)


if __name__ == "__main__":
    main()

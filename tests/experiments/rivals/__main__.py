"""Runs the rivals on scripted people and prints what each came to.

Run: python -m tests.experiments.rivals --seeds 0 --out rivals.jsonl
Results are appended to the file, a line each; what stands in it is not run again, so that a run can
be stopped and gone on with. At the end the table of the whole file is printed.

sessions: to adaptation, the first of three pleased in a row, of 72; accepted: pleased in the last
third; about: aboutness of those replies, nats a token; tasks: mean change of the share right on
five small tasks, points; text: rise of plain text's negative log-likelihood, nats a token;
refusals: change of the log-odds that a harmful prompt is refused; seconds: of processor spent on
learning.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from kernels.open import open_backend
from learner.safety.anchors import Anchors
from learner.safety.watched import watch_alone
from learner.settings import MODULES
from streams.model.open import load_base
from streams.settings import ModelSettings
from tests.experiments.rivals.evolved import OWN, Evolved
from tests.experiments.rivals.measured import about, beside, told
from tests.experiments.rivals.people import PEOPLE, SESSIONS, Person, requests
from tests.experiments.rivals.rival import (
    TURNS,
    Bench,
    Remembering,
    Rival,
    Said,
    Still,
)
from tests.measured import bundled_measuring

RIVALS: Final = (
    "none",
    "memory",
    "lora",
    "openclaw",
    "isotropic",
    "screened",
    "directed",
    "leading",
    "selected",
)
KEPT: Final = ("updates", "seconds", "layers", "modules", "set", "items")  # in each row
IN_A_ROW: Final = 3
HEAD: Final = (
    "| person | rival | seed | sessions | accepted | about | tasks | text | refusals | seconds "
    "| updates |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def course(
    bench: Bench, person: Person, rival: Rival, asked: Sequence[str], *, updates: int = 1
) -> dict[str, Any]:
    """Let a person talk to a rival for all sessions, some at a time; it learns between.

    updates: after so many sessions as are one batch

    Nothing is learned from sessions that all please, or while the last three did.
    """
    said: list[Said] = []
    num_updates = 0
    for first in range(0, len(asked), TURNS):
        some = asked[first : first + TURNS]
        new = [
            Said(text, bench.prompt(text), reply, bench.pleased(person, reply))
            for text, reply in zip(some, rival.answer(some), strict=True)
        ]
        said += new
        last = said[-IN_A_ROW:]
        if not all(each.pleased for each in last) and first + TURNS < len(asked):
            for number in range(updates):
                rival.learn(new if number == 0 else ())
            num_updates += updates
    pleased = [each.pleased for each in said]
    third = said[-(len(said) // 3) :]
    return {
        "pleased": [int(each) for each in pleased],
        "sessions_to_adaptation": adapted(pleased),
        "accepted_last_third": statistics.fmean(each.pleased for each in third),
        "about": about(bench, [s.prompt for s in third], [s.reply for s in third]),
        "seconds": rival.seconds,
        "updates": num_updates,
        "last_replies": [bench.text(each.reply) for each in third[-3:]],
    }


def adapted(pleased: Sequence[bool]) -> int | None:
    """Return the session, from 1, that begins the first three pleased in a row; None: never.

    >>> adapted([False, True, True, True]), adapted([True, True, False])
    (2, None)
    """
    starts = range(len(pleased) - IN_A_ROW + 1)
    return next((s + 1 for s in starts if all(pleased[s : s + IN_A_ROW])), None)


class Arena:
    """Makes rivals, each from the base anew."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.bench = Bench(load_base(ModelSettings(), plain_head=True), open_backend("cpu"))
        measuring = bundled_measuring(self.bench.base, self.bench.backend)
        self.watch = watch_alone(measuring, items=args.items)
        self._args = args
        self._bank: Anchors | None = None

    def rival(self, name: str, person: Person, seed: int) -> Rival:
        """Return a rival that knows nothing yet. Raises: KeyError."""
        if name in ("none", "memory"):
            return (Still if name == "none" else Remembering)(self.bench, person)
        if name in OWN:
            settings = OWN[name].model_copy(update={"seed": seed})
            if settings.noise == "directed":
                settings = settings.model_copy(update=self._args.set)
            bank = self._bank or Anchors(self.bench.base, backend=self.bench.backend, moving=1)
            self._bank = bank
            return Evolved(
                self.bench,
                person,
                settings,
                bank=None if name == "isotropic" else bank,
            )
        from tests.experiments.rivals.gradient import Gradient, Way, Where, own_model

        ways: dict[str, Way] = {"lora": "sft", "openclaw": "mixture"}
        where = Where(self._args.layers, tuple(self._args.modules))
        return Gradient(
            self.bench,
            person,
            ways[name],
            model=own_model(),
            seconds=self._args.seconds,
            seed=seed,
            where=where,
        )


def main() -> None:
    """Run what the file does not hold yet, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", nargs="+", default=[p.name for p in PEOPLE])
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--updates", type=int, default=3, help="after every six sessions")
    parser.add_argument("--seconds", type=float, default=2.5, help="of processor, a LoRA's update")
    parser.add_argument("--layers", type=int, default=4, help="last layers that a LoRA moves")
    parser.add_argument(
        "--modules", nargs="+", choices=MODULES, default=list(MODULES), help="of them, likewise"
    )
    parser.add_argument("--items", type=int, default=8, help="of each small task, five times each")
    parser.add_argument(
        "--set", type=json.loads, default={}, help="settings of those by directed noise"
    )
    parser.add_argument("--out", type=Path, default=Path("rivals.jsonl"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in args.out.open()] if args.out.exists() else []
    asked, usual = _arguments(args), _arguments(parser.parse_args([]))
    done = ended(rows, asked, usual=usual)
    arena: Arena | None = None
    for seed in args.seeds:
        for person in (p for p in PEOPLE if p.name in args.people):
            for name in args.rivals:
                if (person.name, name, seed, args.sessions) in done:
                    continue
                arena = arena or Arena(args)
                rows.append(_one(arena, person, name, seed, args) | {"arguments": asked})
                with args.out.open("a") as file:
                    file.write(json.dumps(rows[-1], ensure_ascii=False) + "\n")
                print(told(rows[-1]), flush=True)
    print("\n".join((HEAD, *map(told, rows))))


def ended(
    rows: Sequence[dict[str, Any]], asked: dict[str, Any], *, usual: dict[str, Any]
) -> set[tuple[str, str, int, int]]:
    """Return which runs a file holds that were made as is asked now.

    usual: how those were made whose rows don't tell, as older ones don't

    >>> row = {"person": "form", "rival": "lora", "seed": 0, "sessions": 72}
    >>> [len(ended([row], {"layers": layers}, usual={"layers": 4})) for layers in (4, 30)]
    [1, 0]
    """
    return {
        (row["person"], row["rival"], row["seed"], row["sessions"])
        for row in rows
        if row.get("arguments", usual) == asked
    }


def _arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that change what a run comes to."""
    return {name: getattr(args, name) for name in KEPT}


def _one(
    arena: Arena, person: Person, name: str, seed: int, args: argparse.Namespace
) -> dict[str, Any]:
    rival = arena.rival(name, person, seed)
    asked = requests(seed, args.sessions)
    found = course(arena.bench, person, rival, asked, updates=args.updates)
    watched = beside(arena.watch, rival.decoder)
    named = {"person": person.name, "rival": name, "seed": seed, "sessions": args.sessions}
    return named | found | {"watched": watched}


if __name__ == "__main__":
    main()

"""Learns three harmless preferences in sequence, and measures what is left of refusing after each.

Run: python -m tests.experiments.sequence   (long; what is done is kept; EXPERIMENTS, "Sequence")
With and without frozen units, with and without an anchor: some of the base's refusals in every
generation as replies that are to stay likely. Noise is `rank1` over the last blocks, which wears
most; the last line learns as the service does by default. Lines that are done are kept in
`.quickset/experiments` and not run again.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from kernels.contract import Backend
from kernels.open import open_backend
from learner.batch.lesson import Lesson
from learner.batch.plan import generation_key
from learner.safety.anchors import Anchors
from learner.safety.prompts import load_prompts
from learner.safety.units.calibration import calibration_replies
from learner.safety.units.unit_map import load_mask
from learner.serving import Serving
from learner.settings import LearnerSettings
from learner.update.generation import run_generation
from streams.model.open import BaseModel, load_base
from streams.records import Recipe
from streams.settings import ModelSettings
from tests.experiments.manner import Manner, nothing
from tests.experiments.screened import BATCH, WISHES, Course
from tests.measured import bundled_measuring

# Of a generation's weight, what the anchor's refusals have, and how many there are of them.
ANCHOR_WEIGHT: Final = 0.25
ANCHORS: Final = 2
WEARING: Final = LearnerSettings(
    noise="rank1", pairs=16, last_layers=8, step=6.0, max_reply_tokens=32
)
SCREENED: Final = LearnerSettings(noise="screened", pairs=64, max_reply_tokens=32)
SERVED: Final = LearnerSettings(max_reply_tokens=32)


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to learn the sequence."""

    name: str
    settings: LearnerSettings
    frozen: bool
    anchored: bool


ARMS: Final = (
    Arm("unprotected", WEARING, False, False),
    Arm("frozen and anchored", WEARING, True, True),
    Arm("by default: directed, frozen", SERVED, True, False),
    Arm("screened, frozen", SCREENED, True, False),
    Arm("frozen", WEARING, True, False),
    Arm("anchored", WEARING, False, True),
)


def anchors(base: BaseModel) -> list[Lesson]:
    """Return the base's refusals of the calibration prompts, praised; no gate prompt is among
    them."""
    refused = calibration_replies(
        bundled_measuring(base, open_backend("cpu")), load_prompts("calibration")
    ).safety
    return [
        Lesson(f"anchor {place}", ANCHOR_WEIGHT / ANCHORS, 1, 1.0, tuple(s.prompt), tuple(s.reply),
               ())
        for place, s in enumerate(refused)
    ]  # fmt: skip


def run(
    arm: Arm,
    taught: Sequence[Course],
    refusals: Sequence[Lesson],
    manner: Manner,
    args: argparse.Namespace,
) -> Iterator[dict[str, Any]]:
    """Learn each course in turn; what is measured after each."""
    base, backend = taught[0].base, taught[0].backend
    settings = arm.settings if arm.frozen else _nothing_frozen(arm.settings)
    mask = load_mask(bundled_measuring(base, backend, settings), settings)
    layers, modules = settings.moving(base.decoder.num_layers)
    serving = Serving(base, backend, mask, layers=layers, modules=modules)
    anchored = Anchors(base, backend=backend, moving=len(layers))
    draw, chain = random.Random(args.seed), list[Recipe]()
    for course in taught:
        gain_before, _ = course.measure(serving.decoder)
        began_s = time.process_time()
        for number in range(args.generations):
            lessons = _batch(course, refusals if arm.anchored else (), draw)
            key = generation_key(args.seed, "main", len(chain) + number, serving.name)
            outcome = run_generation(
                key, lessons, serving, settings, backend=backend, pause=nothing, anchors=anchored
            )
            if outcome.child is not None:
                chain.append(outcome.child.recipe)
                serving.follow(chain[-1].version, chain)
        spent_s = time.process_time() - began_s
        gain, _ = course.measure(serving.decoder)
        yield {"versions": len(chain), "gain": gain - gain_before, "spent_s": spent_s} | asdict(
            manner.of(serving.decoder)
        )


def _batch(course: Course, refusals: Sequence[Lesson], draw: random.Random) -> list[Lesson]:
    taught = draw.sample(list(course.training), BATCH)
    if not refusals:
        return taught
    weight = (1 - ANCHOR_WEIGHT) / BATCH
    kept = draw.sample(list(refusals), ANCHORS)
    return [*(replace(lesson, weight=weight) for lesson in taught), *kept]


def _nothing_frozen(settings: LearnerSettings) -> LearnerSettings:
    return settings.model_copy(update={"frozen_share": 0.0})


def courses(base: BaseModel, backend: Backend, wishes: Sequence[str] = WISHES) -> list[Course]:
    """Return what each wish teaches, from the base's own rewrites."""
    sizes = argparse.Namespace(training=12, held_out=6, tokens=32, text=16)
    return [Course.of(base, backend, wish, sizes) for wish in wishes]


def main() -> None:
    """Run every line that is not done, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=6, help="of each preference")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lines", nargs="+", default=[arm.name for arm in ARMS], help="by name")
    parser.add_argument("--home", type=Path, default=Path(".quickset"), help="keeps what is done")
    args = parser.parse_args()
    done = args.home / "experiments" / f"sequence-{args.generations}-{args.seed}"
    done.mkdir(parents=True, exist_ok=True)
    base, backend = load_base(ModelSettings()), open_backend("cpu")
    manner = Manner(base, backend)
    print("| learned | refuses | refuses look-alikes | useful | log-odds | benign, nats | news |")
    print("|---|---|---|---|---|---|---|", flush=True)
    print(_line("nothing", asdict(manner.of(base.decoder)) | {"gain": 0.0}), flush=True)
    taught, refusals = list[Course](), list[Lesson]()
    for arm in (arm for arm in ARMS if arm.name in args.lines):
        file = done / f"{arm.name.replace(' ', '-').replace(':', '').replace(',', '')}.json"
        if not file.exists():
            taught = taught or courses(base, backend)
            refusals = refusals or anchors(base)
            rows = list[dict[str, Any]]()
            for row in run(arm, taught, refusals, manner, args):
                rows.append(row)
                print(_told(arm, len(rows), row), flush=True)
            file.write_text(json.dumps(rows))
        else:
            for place, row in enumerate(json.loads(file.read_text()), start=1):
                print(_told(arm, place, row), flush=True)


def _told(arm: Arm, place: int, row: dict[str, Any]) -> str:
    return _line(f"{arm.name}, {place} ({row['versions']} versions)", row)


def _line(name: str, row: dict[str, float]) -> str:
    return (
        f"| {name} | {row['refused']:.0%} | {row['over_refused']:.0%} | {row['useful']:.0%} |"
        f" {row['odds']:+.2f} | {row['likely']:+.2f} | {row['gain']:+.2f} |"
    )


if __name__ == "__main__":
    main()

"""Seconds until an agent that starts late serves what its line serves, with and without snapshots.

The ledger is of 1,000 generations that move up and down projections of the last four layers, of the
bundled model and of a tiny one; the agent's own classes read it from the embedded log, build the
version and flip to it. The baseline is the same start from the base up: it grows with the ledger,
while from a snapshot at most `streams.snapshot_every` recipes are taken in.
"""

import statistics
import time
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.swap.follow import Follower
from agent.swap.residents import Residents
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from kernels.open import open_backend
from streams.log.contract import Outgoing, outgoing
from streams.model.open import BaseModel, load_base
from streams.open import open_log, open_snapshots
from streams.settings import ModelSettings, StreamsSettings
from tests.agent.lineage import Lineage, promotion
from tests.tiny import tiny_model_dir

GENERATIONS = 1000
LAST_LAYERS = 4
ROUNDS = 3
STEP = 20  # small, so that a thousand of them stay within what the weights can hold


def write_ledger(base: BaseModel, settings: StreamsSettings) -> str:
    """Append a thousand released versions as a learner would, and give the last one's name."""
    layers = range(base.decoder.num_layers - LAST_LAYERS, base.decoder.num_layers)
    lineage, log = Lineage(base, layers), open_log(settings)
    log.append([outgoing("recipes", "main", lineage.mask)])
    before = base.name
    for number in range(1, GENERATIONS + 1):
        recipe = lineage.next(step=STEP)
        log.append(
            [
                outgoing("recipes", "main", recipe),
                outgoing("rollouts", "main", promotion(number, recipe.version, before)),
            ]
        )
        before = recipe.version
    log.close()
    return before


def _write_nothing(_: list[Outgoing]) -> Future[bool]:
    raise AssertionError("only a rollback is written down")


def catch_up(base: BaseModel, settings: StreamsSettings, version: str) -> tuple[float, str]:
    """Start an agent's follower and give the seconds until a version serves, and its bits."""
    log, backend = open_log(settings), open_backend("cpu")
    residents = Residents(base, backend, snapshots=open_snapshots(settings))
    follower = Follower(
        log,
        residents,
        line="main",
        base=base.name,
        put=_write_nothing,
        events=Events(),
        metrics=Metrics(),
    )
    began = time.perf_counter()
    follower.start()
    while residents.serving != version:
        time.sleep(0.001)
    took_s = time.perf_counter() - began
    follower.stop()
    log.close()
    return took_s, residents.digest_of(version)


def compare(name: str, base: BaseModel, settings: StreamsSettings) -> bool:
    """Print both times; say whether the bits are the same, and the short cut is one."""
    version = write_ledger(base, settings)
    plain = settings.model_copy(update={"snapshot_every": 0})
    catch_up(base, settings, version)  # writes a snapshot, as every start that was far behind
    while not list((settings.home / "snapshots").glob("*.safetensors")):
        time.sleep(0.01)
    without: list[float] = []
    with_them: list[float] = []
    digests = set()
    for _ in range(ROUNDS):
        for times, chosen in ((without, plain), (with_them, settings)):
            took_s, digest = catch_up(base, chosen, version)
            times.append(took_s)
            digests.add(digest)
    slow, fast = statistics.median(without), statistics.median(with_them)
    print(f"{name}, {GENERATIONS} generations, median of {ROUNDS} rounds")
    print(f"{'from the base up':<38}{slow:>12.2f} s")
    print(f"{'from the newest snapshot':<38}{fast:>12.2f} s{slow / fast:>12.1f} times faster")
    return len(digests) == 1 and fast < slow


def main() -> int:
    """Compare on both models; fails where the bits differ or the short cut is none."""
    with TemporaryDirectory() as name:
        models = {
            "a tiny model": ModelSettings(path=tiny_model_dir(Path(name) / "tiny")),
            "the bundled model": ModelSettings(),
        }
        good = [
            compare(title, load_base(settings), StreamsSettings(home=Path(name) / title))
            for title, settings in models.items()
        ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main())

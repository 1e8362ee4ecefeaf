"""How long the first correction at home takes: seconds from it to the version that was made of it.

`quickset up` with the settings as they come, on the bundled model, as a person would: a question,
and a correction as soon as it is answered. In a fresh home on a machine that has measured nothing
of the base (cold), and in a second fresh home on the same machine (warm). Also told: how many of
the gate's probes were asked before the version served, and when the base had been measured for all.

The wait of `learner.linger_s` (10 s, for further corrections) is part of the figures.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlmodel import select

from streams.model.convert import FOLDER
from streams.model.open import load_base
from streams.settings import ModelSettings, StreamsSettings
from streams.store.store import reach_store
from streams.store.tables import GenerationRow, PlannerRow
from tests.flow.service import QUICK, up

QUESTION = "What is the capital of France?"
CORRECTION = "Too long. Answer in one short sentence only."
PORTS = ("agent.port", "agent.console_port")
LIMIT_S = 900.0


def main() -> None:
    """Print the seconds, cold and warm."""
    load_base(ModelSettings())  # converted, where it was not
    converted = ModelSettings().cache.expanduser() / FOLDER
    with TemporaryDirectory(prefix="quickset-bench-") as folder:
        cache = Path(folder) / "cache"
        cache.mkdir()
        (cache / FOLDER).symlink_to(converted)
        for name in ("cold", "warm"):
            print(f"{name}: {first(Path(folder) / name, cache)}", flush=True)
        kept = [file for file in (cache / "measured").rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in kept)
        print(f"kept of the base: {len(kept)} files, {size / 2**20:.0f} MiB")


def first(home: Path, cache: Path) -> str:
    """Start a service in a fresh home, correct it once, and tell what that took."""
    without = [name for name in QUICK if name not in PORTS]
    began_s = time.monotonic()
    with up(home, model=None, without=without, **{"model.cache": str(cache)}) as service:
        ready_s = time.monotonic() - began_s
        reply, base = service.chat(QUESTION, temperature=0)
        service.chat(QUESTION, reply, CORRECTION)
        corrected_s = time.monotonic()
        service.said(rf"swap: (\w+) serves after {base}")
        served_s = time.monotonic() - corrected_s
        asked = _asked(home)
        measured_s = _measured_s(home, began_s)
        service.stop()
    return (
        f"ready after {ready_s:.1f} s; {served_s:.1f} s from the correction to its version, which"
        f" {asked} probes had passed; the base measured {measured_s:.0f} s after the start"
    )


def _asked(home: Path) -> int:
    """Count the probes in the newest report."""
    store = reach_store(StreamsSettings(home=home))
    try:
        with store.reading() as session:
            rows = [row.gate for row in session.exec(select(GenerationRow)) if row.gate]
            return len(rows[-1]["rows"])
    finally:
        store.close()


def _measured_s(home: Path, began_s: float) -> float:
    """Wait until the base has been measured for every probe; seconds since the start."""
    store = reach_store(StreamsSettings(home=home))
    try:
        while time.monotonic() - began_s < LIMIT_S:
            with store.reading() as session:
                planner = session.exec(select(PlannerRow)).first()
            if planner is not None and planner.num_to_measure and not planner.measuring:
                return time.monotonic() - began_s
            time.sleep(0.5)
        raise AssertionError("the base is not measured")
    finally:
        store.close()


if __name__ == "__main__":
    main()

"""What else a rival's version has become: small tasks, plain text, refusals, aboutness.

By forward passes alone, always on the same prompts. Knows nothing of how the version was made.
"""

from collections.abc import Sequence
from typing import Any

from kernels.model.forward import Decoder
from learner.population.aboutness import aboutness
from learner.safety.watched import Watch
from tests.experiments.rivals.rival import Bench, Tokens, nothing


def beside(watch: Watch, decoder: Decoder) -> dict[str, float]:
    """Return what is watched, as differences from the base."""
    now, base = watch.measure(decoder), watch.of_base
    return {name: round(now[name] - base[name], 4) for name in now}


def about(bench: Bench, prompts: Sequence[Tokens], replies: Sequence[Tokens]) -> float:
    """Return how far replies are about their prompts, nats a token."""
    stops = bench.base.stop_ids
    bare = [[token for token in reply if token not in stops] for reply in replies]
    found = aboutness(
        bench.base.decoder, prompts, bare, num_others=2, backend=bench.backend, pause=nothing
    )
    return sum(found) / len(found)


def told(row: dict[str, Any]) -> str:
    """Return a result as a row of a table."""
    watched = row["watched"]
    tasks = [value for name, value in watched.items() if name.startswith("tasks.")]
    lost = sum(tasks) / len(tasks) if tasks else 0.0
    adapted = row["sessions_to_adaptation"] or "–"
    return (
        f"| {row['person']} | {row['rival']} | {row['seed']} | {adapted} | "
        f"{row['accepted_last_third']:.0%} | {row['about']:+.2f} | {100 * lost:+.1f} | "
        f"{watched['text_nats']:+.3f} | {watched['refusal_nats']:+.2f} | "
        f"{row['seconds']:.0f} | {row['updates']} |"
    )

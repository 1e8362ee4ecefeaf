"""Measures how far the bundled model's replies are about their prompts, and what moves that.

Run: python -m tests.experiments.aboutness          (about three minutes of one processor)
Prints the mean over the gate's plain prompts, nats a token, of: the base's replies, as long as the
gate reads them and twice as long; the base told to be brief; the apologies with which it answers a
reproach, whatever was asked; and versions that were moved blindly, by full steps.
"""

# ruff: noqa: E402  (what torch reads when it is loaded is set before)

import argparse
import random
from collections.abc import Callable, Sequence

from deploy.up import process

process.prepare()  # as the command does, before torch is loaded

from kernels.model.decode import greedy
from kernels.model.forward import Decoder
from kernels.open import open_backend
from kernels.version.master import QUANTUM_LOG2
from learner.batch.rewriting.placements import with_hint
from learner.population.aboutness import aboutness
from learner.safety.prompts import load_prompts
from learner.safety.readings.asking import NUM_OTHERS
from learner.serving import Serving
from learner.settings import LearnerSettings
from learner.update.candidate import draft
from learner.update.strategies import UNIT, Update, quanta
from streams.model.open import load_base
from streams.records import Mask, Message, Recipe
from streams.settings import ModelSettings

BRIEF = "Answer in one short sentence only."
REPROACH = "You forgot to ask me something back at the end."


def nothing() -> None:
    """No pace."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--updates", type=int, nargs="*", default=[4, 8, 16])
    given = parser.parse_args()
    settings = LearnerSettings(noise="screened", pairs=64)
    base, backend = load_base(ModelSettings()), open_backend("cpu")
    questions = load_prompts("gate").benign[: given.prompts]
    asked = [[Message(role="user", content=question)] for question in questions]

    def replies(
        decoder: Decoder, messages: Sequence[Sequence[Message]], tokens: int
    ) -> list[list[int]]:
        prompts = [base.render(each) for each in messages]
        found = greedy(decoder, prompts, max_tokens=tokens, stop_ids=base.stop_ids)
        return [[token for token in reply if token not in base.stop_ids] for reply in found]

    def told(name: str, said: Sequence[Sequence[int]]) -> None:
        about = aboutness(
            base.decoder,
            [base.render(each) for each in asked],
            said,
            num_others=NUM_OTHERS,
            backend=backend,
            pause=nothing,
        )
        spread = " ".join(f"{each:+.1f}" for each in sorted(about))
        print(f"{name:32s} {sum(about) / len(about):+.2f}   ({spread})", flush=True)

    short, long = settings.gate_tokens, 2 * settings.gate_tokens
    told(f"base, {short} tokens", first := replies(base.decoder, asked, short))
    told(f"base, {long} tokens", replies(base.decoder, asked, long))
    told("told to be brief", replies(base.decoder, [with_hint(a, BRIEF) for a in asked], short))
    told(
        "apologies", replies(base.decoder, _reproached(asked, first, base.tokenizer.decode), short)
    )
    told("each the reply to another", [*first[1:], first[0]])
    serving = Serving(
        base,
        backend,
        Mask(base=base.name, neurons={}, groups={}),
        layers=range(base.decoder.num_layers - settings.last_layers, base.decoder.num_layers),
        modules=settings.modules,
    )
    step = quanta(settings.step / settings.pairs, settings.sigma_log2, QUANTUM_LOG2)
    signs, chain = random.Random(0), list[Recipe]()
    for number in range(1, max(given.updates, default=0) + 1):
        update = Update(tuple(signs.choice((-UNIT, UNIT)) for _ in range(settings.pairs)), step)
        described = draft(serving, f"{number:016x}", update, sigma_log2=settings.sigma_log2)
        chain.append(serving.child(described).recipe)
        serving.follow(chain[-1].version, chain)
        if number in given.updates:
            told(f"after {number} blind updates", replies(serving.decoder, asked, short))


def _reproached(
    asked: Sequence[Sequence[Message]],
    replies: Sequence[Sequence[int]],
    decode: Callable[[Sequence[int]], str],
) -> list[list[Message]]:
    return [
        [
            *messages,
            Message(role="assistant", content=decode(reply)),
            Message(role="user", content=REPROACH),
        ]
        for messages, reply in zip(asked, replies, strict=True)
    ]


if __name__ == "__main__":
    main()

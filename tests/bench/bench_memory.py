"""Resident memory of a real agent and a real learner, at their start and over 200 versions.

Both run as an operator runs them, a process each, at default settings on the bundled model. The
agent holds 16 conversations that fill its cache, follows a ledger of versions that move what the
learner's default moves, and answers between two of them; with `--noise rank1` they move all linear
layers of the last four blocks, the most at default settings but for noise. The learner takes a few
generations at its default size; a second one takes many of them, with few members and a short gate,
to show that nothing grows: what it keeps from one version to the next is the same.

Figures are MB (10^6 bytes) as the kernel counts them: resident, of it private to the process and
shared with others (libraries, mapped files), and the most that it ever was. There is no baseline in
the same run; the goals are the yardstick.
"""

import argparse
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from agent.settings import AgentSettings
from kernels.model.model import EMBEDDING
from learner.settings import LearnerSettings
from streams import chain
from streams.log.contract import outgoing
from streams.model.open import BaseModel, load_base
from streams.open import init_streams, open_log
from streams.records import Message, Sampling, Turn
from streams.settings import ModelSettings, StreamsSettings
from tests.agent.lineage import Lineage, promotion
from tests.flow.fleet import Process

VERSIONS: Final = 200
# Looked at after so many versions, besides the last: early, where a process still grows, and late.
LOOKED_AT: Final = (1, 5, 10, 20, 50, 100, 150)
GENERATIONS: Final = 3  # at the default size; half a minute each
GOALS_MB: Final = {"agent": 1200, "learner": 1500}
# From the tenth version on a process may not grow by more: the kernel counts in large pages.
FLAT_MB: Final = 40
LOOKS: Final = 20  # a second
STEP: Final = 20  # small, so that 200 of them leave a model that still speaks
# Two fill the cache at its default size; the others wait for their turn, or take their place.
CONVERSATIONS: Final = 16
# As many tokens, and some hundred of the template and the second request: two replies fit.
WORDS: Final = 1700
TEXT: Final = "the day and night water of light over all that people say about time".split()  # noqa: SIM905

SHARED: Final = {"agent.port": "0", "agent.console_port": "0"}
# What decides when a generation runs and what is released, but not how large it is.
EAGER: Final = {
    "learner.cpu_share": "1",
    "learner.linger_s": "0",
    "learner.uses": "1000000",
    "learner.max_staleness": "1000000",
    "learner.probes": '["finite", "odds", "refusal", "useful", "sense", "aboutness"]',
    "learner.drift_refusal": "0",
    "learner.held_out_fitness": "100",
    "learner.gate_tolerance": "1",
    "learner.gate_odds_nats": "100",
    "learner.gate_sense_nats": "100",
    "learner.gate_aboutness_nats": "100",
}
QUICK: Final = {
    "learner.pairs": "2",
    "learner.max_prompt_tokens": "64",
    "learner.max_reply_tokens": "16",
    "learner.gate_prompts": "1",
    "learner.gate_tokens": "4",
}


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process has, MB."""

    resident: float
    private: float
    shared: float
    most: float

    @classmethod
    def of(cls, pid: int) -> "Memory":
        """Read it from the kernel."""
        rolled = _kilobytes(Path(f"/proc/{pid}/smaps_rollup"))
        return cls(
            resident=rolled["Rss"],
            private=rolled["Private_Clean"] + rolled["Private_Dirty"],
            shared=rolled["Shared_Clean"] + rolled["Shared_Dirty"],
            most=_kilobytes(Path(f"/proc/{pid}/status"))["VmHWM"],
        )


def _kilobytes(file: Path) -> dict[str, float]:
    found = re.findall(r"^(\w+):\s+(\d+) kB$", file.read_text(), re.MULTILINE)
    return {name: int(number) * 1024 / 1e6 for name, number in found}


class Table:
    """The figures of one process, printed as they are taken."""

    def __init__(self, name: str, pid: int) -> None:
        self._pid = pid
        self.rows: list[tuple[int, Memory]] = []
        print(f"\n{name:<38}{'resident':>9}{'private':>9}{'shared':>8}{'most':>7}")

    def look(self, what: str, versions: int = 0) -> None:
        """Take one line of figures: the least of a second, as it is between two pieces of work."""
        looks = []
        for _ in range(LOOKS):
            looks.append(Memory.of(self._pid))
            time.sleep(1 / LOOKS)
        now = replace(min(looks, key=lambda look: look.resident), most=looks[-1].most)
        self.rows.append((versions, now))
        figures = f"{now.resident:>9.0f}{now.private:>9.0f}{now.shared:>8.0f}{now.most:>7.0f}"
        print(f"{what:<38}{figures}", flush=True)

    def verdict(self, goal_mb: float) -> bool:
        """Say whether the goal is met; return whether the process stays as it is."""
        largest = max(memory.most for _, memory in self.rows)
        late = [memory.resident for versions, memory in self.rows if versions >= 10]
        growth = late[-1] - late[0] if late else 0.0
        word = "met" if largest <= goal_mb else "missed"
        print(f"largest {largest:.0f} MB, goal {goal_mb:.0f}: {word}; ", end="")
        print(f"from the tenth version on {growth:+.0f} MB")
        return growth <= FLAT_MB


def account(base: BaseModel, lineage: Lineage, start: Memory) -> None:
    """Print where the bytes of a full agent are: what is counted, and what is left at its start."""
    model, moved = base.model, lineage.recipes[-1]
    blocks = tuple(f".layers.{layer}." for layer in moved.layers)
    moving = [
        name
        for name in model.layers
        if any(block in f".{name}" for block in blocks)
        and any(f".{module}." in name for module in moved.modules)
    ]
    full = sum(model.get_parameter(name).nbytes for name in moving) / 1e6  # in a version
    held, embedding = model.nbytes / 1e6, model.layer(EMBEDDING).nbytes / 1e6
    cached = AgentSettings().context_of(base.context_tokens)
    token = 2 * base.decoder.num_layers * base.decoder.kv_heads * base.decoder.head_dim * 4 / 1e6
    print()
    for what, size in (
        ("blocks as they came", held - embedding),
        ("embedding, which is the head, too", embedding),
        (f"{len(moving)} moved layers in full: serving, previous", 2 * full),
        (f"{cached} tokens of the cache", cached * token),
        ("at its start, but for weights: libraries", start.resident - held),
        ("  of it shared with others", start.shared),
    ):
        print(f"{what:<47}{size:>9.0f}")


def process(folder: Path, role: str, changes: Mapping[str, str]) -> Process:
    """Describe a process with a home of its own."""
    return Process(folder, role, {**SHARED, "streams.home": str(folder / "home"), **changes})


def pid_of(process: Process) -> int:
    """Return the process id of a started process."""
    assert process._process is not None
    return process._process.pid


def measure_agent(
    folder: Path, base: BaseModel, moved: LearnerSettings, versions: int, conversations: int
) -> bool:
    """Fill an agent's cache, then let it follow a ledger while it answers."""
    agent = process(folder, "agent", {})
    try:
        agent.start()
        table = Table("agent", pid_of(agent))
        table.look("at its start")
        fill(agent, conversations)
        table.look(f"{conversations} conversations of {WORDS} words")
        log = open_log(StreamsSettings(home=folder / "home"))
        layers, modules = moved.moving(base.decoder.num_layers)
        lineage, before = Lineage(base, layers, sorted(modules)), base.name
        log.append([outgoing("recipes", "main", lineage.mask)])
        for number in range(1, versions + 1):
            recipe = lineage.next(step=STEP)
            decided = promotion(number, recipe.version, before)
            log.append([outgoing("recipes", "main", recipe), outgoing("rollouts", "main", decided)])
            before = recipe.version
            agent.said(f"swap: ({before}) serves after")
            agent.chat(f"Say something about the number {number}.", max_tokens=8)
            if number in LOOKED_AT or number == versions:
                table.look(f"after {number} versions", number)
        fill(agent, conversations)
        table.look("the conversations once more", versions)
        account(base, lineage, table.rows[0][1])
        log.close()
    finally:
        agent.stop()
    return table.verdict(GOALS_MB["agent"])


def fill(agent: Process, conversations: int) -> None:
    """Hold long conversations at once, each of two requests."""

    def converse(number: int) -> None:
        said = " ".join(TEXT[(number + place * place) % len(TEXT)] for place in range(WORDS))
        reply, _ = agent.chat(said, max_tokens=16)
        agent.chat(said, reply or "…", "And then?", max_tokens=16)

    with ThreadPoolExecutor(conversations) as pool:
        list(pool.map(converse, range(conversations)))


def measure_learner(
    folder: Path, base: BaseModel, title: str, changes: Mapping[str, str], versions: int
) -> bool:
    """Let a learner learn from corrected conversations, over and over."""
    learner = process(folder, "learner", {**EAGER, **changes})
    streams = StreamsSettings(home=folder / "home")
    init_streams(streams)
    log = open_log(streams)
    turns = [turn for number in range(8) for turn in corrected(base, number)]
    try:
        learner.start()
        table = Table(title, pid_of(learner))
        while not Path(f"/proc/{pid_of(learner)}/smaps_rollup").exists():
            time.sleep(0.1)
        reader = log.subscribe(["recipes"], group=None, positions=lambda _: {})
        found, said = -1, False  # the mask is the first of the recipes' records
        while found < versions:
            entries = reader.poll(wait_s=1.0)
            for _ in entries:
                found += 1
                if found == 0:
                    table.look("calibrated")
                elif found in LOOKED_AT or found == versions:
                    table.look(f"after {found} versions", found)
            if not said:
                log.append(outgoing("turns", turn.session, turn) for turn in turns)
                said = True
        reader.close()
    finally:
        learner.stop()
        log.close()
    return table.verdict(GOALS_MB["learner"])


def corrected(base: BaseModel, number: int) -> Sequence[Turn]:
    """Return a conversation of two turns, the second after a correction of the first."""
    words = " ".join(f"part {word} of case {number}" for word in range(20))
    asked = Message(role="user", content=f"Tell me what is in this list: {words}.")
    answer = f"It is a list of the parts of case {number}, " + "one after the other, " * 20
    first = _turn(base, f"turn-{number}-a", [asked], answer)
    wish = Message(role="user", content="That was too long. Shorter, please.")
    second = _turn(base, f"turn-{number}-b", [asked, first.reply, wish], "A list of parts.")
    return first, second


def _turn(base: BaseModel, name: str, messages: list[Message], reply: str) -> Turn:
    answer = Message(role="assistant", content=reply)
    keys = chain.keys([*messages, answer])
    tokens = base.tokenizer.encode(reply, add_special_tokens=False)
    return Turn(
        id=name,
        line="main",
        version=base.name,
        principal=name.rpartition("-")[0],
        session=chain.session_of(messages, name.rpartition("-")[0]),
        prefix_key=keys[-2],
        key=keys[-1],
        messages=messages,
        reply=answer,
        prompt_token_ids=base.render(messages),
        token_ids=tokens,
        logprobs=[-3.0] * len(tokens),
        sampling_logprobs=[-3.0] * len(tokens),
        sampling=Sampling(temperature=1, top_p=1, max_tokens=256, seed=0),
        finish_reason="stop",
        learn=True,
        purpose="main",
        created_ms=int(time.time() * 1000) - 100_000 + len(messages),
    )


def main() -> int:
    """Measure both, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roles", nargs="*", default=["agent", "learner", "many"])
    parser.add_argument("--versions", type=int, default=VERSIONS)
    parser.add_argument("--conversations", type=int, default=CONVERSATIONS)
    parser.add_argument("--generations", type=int, default=GENERATIONS)
    parser.add_argument("--noise", default=LearnerSettings().noise, help="what versions move")
    chosen = parser.parse_args()
    base, good = load_base(ModelSettings()), []
    with TemporaryDirectory() as name:
        folder = Path(name)
        if "agent" in chosen.roles:
            moved = LearnerSettings(noise=chosen.noise)
            good.append(
                measure_agent(folder / "agent", base, moved, chosen.versions, chosen.conversations)
            )
        if "learner" in chosen.roles:
            title = "learner, generations of the default size"
            good.append(measure_learner(folder / "learner", base, title, {}, chosen.generations))
        if "many" in chosen.roles:
            title = "learner, small generations"
            good.append(measure_learner(folder / "many", base, title, QUICK, chosen.versions))
    return 0 if all(good) else 1


if __name__ == "__main__":
    raise SystemExit(main())

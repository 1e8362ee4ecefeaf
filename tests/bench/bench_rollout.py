"""From a decision to every new session on a version, and back: four agents on one machine.

Each agent is a process of its own over one embedded log; a client asks each of them without pause.
The time counts from before the change is appended to when the last of the agents was sent the first
request that the new version answered: so it has what a request waits for in it. Measured are the
end of a trial (the candidate is in memory already), a promotion without one (by `direct`: announced
when it was made, and built while the gate asked it), a promotion of what nobody announced (an
operator's, of any version: it is built aside first), and the way back. Goal: at most 1 s.

    python -m tests.bench.bench_rollout [tiny] [bundled]       both by default
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from streams.line import verbs
from streams.line.line import Line
from streams.line.offer import decided, offer
from streams.line.verbs import Audit
from streams.log.contract import Log, outgoing
from streams.model.open import load_base
from streams.open import open_log
from streams.records import Candidate, Recipe, Rollout, encode
from streams.settings import ModelSettings, StreamsSettings
from tests.agent.lineage import Lineage
from tests.flow.fleet import Process, fleet
from tests.tiny import tiny_model_dir

WAYS = ("trial → all", "direct → all", "unannounced")
REPLICAS = 4
ROUNDS = 3
GOAL_S = 1.0
LIMIT_S = 120.0


def ask(agent: Process, version: str, since_s: float, found: list[float]) -> None:
    """Ask until a version answers; note when that request was sent, seconds since the decision."""
    while (sent_s := time.perf_counter() - since_s) < LIMIT_S:
        if agent.chat(f"Hello {sent_s}", max_tokens=1)[1] == version:
            found.append(sent_s)
            return
    raise TimeoutError(f"{version} does not answer after {LIMIT_S:g} s")


def decide(log: Log, agents: Sequence[Process], change: Rollout) -> float:
    """Append a change; return seconds until all agents answer by the version that serves then."""
    found: list[float] = []
    since_s = time.perf_counter()
    threads = [
        threading.Thread(target=ask, args=(agent, change.version, since_s, found))
        for agent in agents
    ]
    offer(log, change)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(agents)
    return max(found)


def prepare(log: Log, agents: Sequence[Process], line: Line, recipe: Recipe, way: str) -> Line:
    """Let the agents know what they know of a version before it is decided for; return the line."""
    if way == "direct → all":
        body = json.loads(encode(recipe))
        made = Candidate(id=recipe.version, line=line.name, recipe=body, created_ms=0)
        log.append([outgoing("recipes", line.name, made)])
        for agent in agents:
            agent.said(rf"ahead: {recipe.version} is in memory")
    log.append([outgoing("recipes", line.name, recipe)])
    if way == "trial → all":
        offer(log, verbs.start(line, recipe.version, audit(), share=0.05))
        for agent in agents:
            agent.said(rf"trial: {recipe.version} answers")
    return decided(log, line.name) or line


def audit() -> Audit:
    return Audit.new("the bench", "measured", int(time.time() * 1000))


def measure(model: Path | None) -> dict[str, list[float]]:
    """Return seconds of each way, a figure a round."""
    took: dict[str, list[float]] = {way: [] for way in (*WAYS, "back")}
    settings = ModelSettings(path=model) if model else ModelSettings()
    base = load_base(settings)
    layers = base.decoder.num_layers
    lineage = Lineage(base, layers=range(layers - 2, layers))
    recipes = [lineage.next(step=16) for _ in range(len(WAYS) * ROUNDS)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        home = StreamsSettings(home=folder / "home")
        log = open_log(home)
        stack.callback(log.close)
        log.append([outgoing("recipes", "main", lineage.mask)])
        named = {"model.path": str(model)} if model else {}
        members = stack.enter_context(
            fleet(
                folder,
                {f"agent-{number}": "agent" for number in range(REPLICAS)},
                {"streams.home": str(home.home), **named},
            )
        )
        agents = list(members.values())
        for agent in agents:
            agent.start()
        line = Line("main", (recipes[0].parent,))
        for number, recipe in enumerate(recipes):
            way = WAYS[number % len(WAYS)]
            line = prepare(log, agents, line, recipe, way)
            change = (
                verbs.promote_full(line, audit())
                if line.trial
                else verbs.promote(line, recipe.version, audit())
            )
            took[way].append(decide(log, agents, change))
            line = decided(log, "main") or line
            took["back"].append(decide(log, agents, verbs.rollback(line, audit())))
            line = decided(log, "main") or line
            again = verbs.promote(line, recipe.version, audit())
            decide(log, agents, again)
            line = decided(log, "main") or line
        for agent in agents:
            agent.stop()
    return took


def main() -> None:
    """Print the median and the longest of each way."""
    chosen = sys.argv[1:] or ["tiny", "bundled"]
    print(f"{REPLICAS} agents; seconds from the decision to all new sessions, {ROUNDS} rounds")
    print("model    way            median   longest")
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            model = tiny_model_dir(Path(folder) / "model") if name == "tiny" else None
            for way, took in measure(model).items():
                print(
                    f"{name:8} {way:13} {statistics.median(took):7.2f} {max(took):9.2f}", flush=True
                )
    print(f"goal: at most {GOAL_S:g} s")


if __name__ == "__main__":
    main()

"""How often a staged rollout decides wrongly, how soon, and whom a bad candidate reaches.

Run: python -m tests.experiments.rollouts [--rollouts 1000]     (BENCHMARKS, "Rollouts")

People come again and again, some far more often than others; each has a taste of its own, by which
they judge some of the replies. Sessions are assigned as the agent assigns them, voices and bounds
are the learner's, and its controller decides after every turn.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from learner.rollout.controller import Progress, decide
from learner.rollout.evidence.evidence import Difference, Means
from streams.line import verbs
from streams.line.line import Line
from streams.line.share import belongs
from streams.line.verbs import Audit
from streams.settings import RolloutSettings

SETTINGS: Final = RolloutSettings(policy="staged")
AUDIT: Final = Audit("learner", "simulated", 0, "r")
TURN_S: Final = 10.0  # from one judged turn of the service to the next
PEOPLE: Final = 2000
MOST_TURNS: Final = 8640  # a day
GRID: Final = 201

# What a candidate does to the mean reward, on a scale from -1 to 1.
KINDS: Final = {"apologises": -1.2, "worse": -0.5, "equal": 0.0, "better": 0.3}


@dataclass
class Evidence:
    """The learner's voices and bounds, kept up turn by turn."""

    settings: RolloutSettings = SETTINGS
    said: dict[tuple[int, bool], list[float]] = field(default_factory=dict)
    due: dict[int, list[tuple[int, bool]]] = field(default_factory=lambda: defaultdict(list))
    counts: list[int] = field(default_factory=lambda: [0, 0])
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0])
    new: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    means: Means = field(default_factory=lambda: Means(alpha=SETTINGS.alpha, grid=GRID))
    observed: int = 0

    def add(self, turn: int, person: int, reward: float, *, candidate: bool) -> bool:
        """Hear one verdict; True when the bounds have changed by it or by voices that waited."""
        key = (person, candidate)
        changed = False
        for waited in self.due.pop(turn, ()):
            if self.said[waited]:
                changed |= self._speak(waited)
        if key not in self.said:
            self.said[key] = []
            self.due[turn + int(self.settings.voice_s / TURN_S)].append(key)
            heard = True
        else:
            heard = bool(self.said[key])  # an empty list has spoken
        if heard:
            self.said[key].append(reward)
            if len(self.said[key]) == self.settings.voice_turns:
                changed |= self._speak(key)
        return changed

    def _speak(self, key: tuple[int, bool]) -> bool:
        value, which = float(np.mean(self.said[key])), key[1]
        self.said[key] = []
        self.counts[which] += 1
        self.sums[which] += value
        self.new[which].append(value)
        if not (self.new[0] and self.new[1]):
            return False
        found = np.mean(self.new[1]) - np.mean(self.new[0])
        self.means.add(np.array([(found + 2) / 4]))
        self.new = ([], [])
        self.observed += 1
        return True

    def difference(self) -> Difference:
        """The difference as the controller has it."""
        low, high = self.means.bounds()
        estimate = self.sums[1] / max(self.counts[1], 1) - self.sums[0] / max(self.counts[0], 1)
        stable, candidate = self.counts
        return Difference(low[0] * 4 - 2, estimate, high[0] * 4 - 2, stable, candidate)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulated rollout came to: completed, aborted, held, or running at the end."""

    state: str
    step: int
    turns: int
    touched: int  # sessions of the candidate
    sessions: int


def turns(rng: np.random.Generator, effect: float) -> Iterator[tuple[int, str, float, float]]:
    """Yield person, session, and the reward of either version's reply."""
    tastes = rng.normal(0.2, 0.4, PEOPLE)  # mean rewards of people: they differ a lot
    often = rng.pareto(1.5, PEOPLE) + 0.1
    often /= often.sum()
    visits = np.zeros(PEOPLE, dtype=int)
    while True:
        for person in rng.choice(PEOPLE, size=500, p=often):
            visits[person] += 1
            session = f"{rng.integers(2**40)}" if visits[person] % 3 == 1 else f"{person}"
            shift = rng.random()
            found = [
                float(np.sign(np.clip(tastes[person] + change, -0.95, 0.95) + 1 - 2 * shift))
                for change in (0.0, effect)
            ]
            judged = rng.random() < 0.8  # the others say something that is neither
            stable, candidate = (reward if judged else 0.0 for reward in found)
            yield int(person), session, stable, candidate


def rollout(seed: int, effect: float, *, most: int = MOST_TURNS) -> Outcome:
    """Run one rollout."""
    line = Line("main", ("base",))
    line = line.take(verbs.start(line, f"candidate-{seed}", AUDIT, share=SETTINGS.steps[0]))
    evidence, touched, sessions = Evidence(), set(), set()
    since, found = 0, evidence.difference()
    for turn, (person, session, stable, better) in enumerate(
        turns(np.random.default_rng(seed), effect)
    ):
        trial = line.trial
        if trial is None or turn >= most:
            break
        answers = belongs(session, trial.version, trial.share)
        sessions.add(session)
        if answers:
            touched.add(session)
        if evidence.add(turn, person, better if answers else stable, candidate=answers):
            found = evidence.difference()
        seen_s = (turn - since) * TURN_S
        decision = decide(trial, Progress(seen_s, found, (), 0, 0, len(touched)), SETTINGS)
        if decision.verb == "abort":
            return Outcome("aborted", trial.step, turn + 1, len(touched), len(sessions))
        if decision.verb == "hold":
            return Outcome("held", trial.step, turn + 1, len(touched), len(sessions))
        if decision.verb == "step":
            line, since = line.take(verbs.step(line, SETTINGS.steps, AUDIT)), turn
    state = "running" if line.trial else "completed"
    step = line.trial.step if line.trial else len(SETTINGS.steps)
    return Outcome(state, step, turn, len(touched), len(sessions))


def power(effect: float, share: float, *, rollouts: int) -> dict[int, tuple[float, float]]:
    """Return the shares found to be worse, and not worse, by so many turns at a share."""
    at = (50, 200, 1000)
    worse, good = dict.fromkeys(at, 0), dict.fromkeys(at, 0)
    for seed in range(rollouts):
        evidence, is_worse, is_good = Evidence(), False, False
        stream = turns(np.random.default_rng(seed), effect)
        for turn, (person, session, stable, better) in zip(range(max(at)), stream, strict=False):
            answers = belongs(session, f"candidate-{seed}", share)
            reward = better if answers else stable
            if evidence.add(turn, person, reward, candidate=answers):
                found = evidence.difference()
                is_worse |= found.high < 0
                is_good |= found.low > -SETTINGS.margin
            if turn + 1 in at:
                worse[turn + 1] += is_worse
                good[turn + 1] += is_good
    return {each: (worse[each] / rollouts, good[each] / rollouts) for each in at}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000, help="of each kind")
    given = parser.parse_args()
    print(
        f"{given.rollouts} rollouts of each kind; α {SETTINGS.alpha:g}, margin {SETTINGS.margin:g}"
    )
    print("kind        completed aborted  held/running  in step 1  touched: median, 95 %  turns")
    for kind, effect in KINDS.items():
        found = [rollout(seed, effect) for seed in range(given.rollouts)]
        share = {
            state: sum(each.state == state for each in found) / len(found)
            for state in ("completed", "aborted", "held", "running")
        }
        first = sum(each.state == "aborted" and each.step == 0 for each in found) / len(found)
        ended = [each for each in found if each.state in ("completed", "aborted")] or found
        touched = [each.touched for each in ended]
        print(
            f"{kind:11} {share['completed']:9.1%} {share['aborted']:7.1%}"
            f" {share['held'] + share['running']:13.1%} {first:10.1%}"
            f" {np.median(touched):16.0f} {np.quantile(touched, 0.95):5.0f}"
            f" {np.median([each.turns for each in ended]):6.0f}"
        )
    print("\nfound to be worse / not worse by more than the margin, by so many judged turns")
    print("kind        share     50 turns      200 turns     1000 turns")
    for kind, effect in KINDS.items():
        for share_of in (0.05, 0.5):
            found_by = power(effect, share_of, rollouts=max(given.rollouts // 5, 10))
            cells = "   ".join(f"{bad:4.0%} / {good:4.0%}" for bad, good in found_by.values())
            print(f"{kind:11} {share_of:5.0%}   {cells}")


if __name__ == "__main__":
    main()

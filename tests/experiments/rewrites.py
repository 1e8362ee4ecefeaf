"""Measures which rewrites are taken for lessons, and how many of these are what somebody wished.

Run: python -m tests.experiments.rewrites --keep found.json      (about ten seconds a complaint)
     python -m tests.experiments.rewrites --from found.json --list

Each complaint of tests/hearing/wishes.jsonl with an instruction is a hinted turn: all candidates of
both rounds are made and proved by the bundled model, and kept. Limits are chosen on one half (the
items with an odd place); the table is of the other. A program checks what was wished; whether a
rewrite is about the question is told by words that it shares with question or answers, which no
limit looks at.
"""

# ruff: noqa: E402  (what torch reads when it is loaded is set before)

import argparse
import json
import random
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from deploy.up import process

process.prepare()  # as the command does, before torch is loaded

from kernels.open import open_backend
from learner.batch.rewriting.candidates import Candidate, Hinted, Writer
from learner.batch.rewriting.placements import ANY_WISH, PLACEMENTS, with_hint
from learner.batch.rewriting.proof import Proof, Prover
from learner.batch.rewriting.rewriting import Tried, best_of
from learner.form.directions import directions_of
from learner.form.obeys import apologises, missed
from streams.model.open import BaseModel, load_base
from streams.records import Message
from streams.settings import ModelSettings
from tests.hearing.checks import Check
from tests.hearing.test_wishes_data import ITEMS, Wish

WISHES: Final = [item for item in ITEMS if item.outcome == "instruction"]
# Three letters and fewer are words of grammar in most languages; two signs are a word in zh and ja.
_WORD: Final = re.compile(r"[^\W\d_]{4,}|[㐀-䶿一-鿿ァ-ヺ]{2}")
AT_ONCE: Final = 4


def nothing() -> None:
    """No pace."""


def hinted(item: Wish, base: BaseModel) -> Hinted:
    """Return a complaint as the learner sees it; its instruction is the hint."""
    asked = [Message(role="user", content=item.prompt)]
    hint = item.instruction or ""
    placed = {place: tuple(base.render(put(asked, hint))) for place, put in PLACEMENTS.items()}
    reply = tuple(base.tokenizer.encode(item.reply, add_special_tokens=False))
    any_wish = tuple(base.render(with_hint(asked, ANY_WISH)))
    return Hinted(item.id, tuple(base.render(asked)), reply, placed, any_wish)


def find(items: Sequence[Wish], keep: Path, *, max_tokens: int, limit_s: float) -> None:
    """Make and prove all candidates, and keep what was found after every few complaints."""
    base, backend = load_base(ModelSettings()), open_backend("cpu")
    writer = Writer(base, base.decoder, max_tokens=max_tokens, pause=nothing)
    prover = Prover(base, backend=backend, pause=nothing)
    found: dict[str, Any] = json.loads(keep.read_text()) if keep.exists() else {}
    began_s = time.monotonic()
    mixed = random.Random(0).sample(items, len(items))  # of every kind, however soon it ends
    left = [item for item in mixed if item.id not in found]
    for first in range(0, len(left), AT_ONCE):
        some = left[first : first + AT_ONCE]
        turns = [hinted(item, base) for item in some]
        rounds = [writer.first(turns)]
        rounds.append(writer.second(turns, rounds[0]))
        for item, turn, *own in zip(some, turns, *rounds, strict=True):
            each = [c for candidates in own for c in candidates]
            proofs = prover.prove(turn, item.instruction or "", each, sentence=writer.sentence)
            found[item.id] = [
                {
                    "round": 1 if place < len(own[0]) else 2,
                    "made": candidate.made,
                    "text": writer.text(candidate.tokens),
                    "ended": candidate.tokens[-1] in base.stop_ids,
                    "proof": asdict(proof),
                }
                for place, (candidate, proof) in enumerate(zip(each, proofs, strict=True))
            ]
        keep.write_text(json.dumps(found, ensure_ascii=False, indent=1))
        spent_s = time.monotonic() - began_s
        print(f"{len(found)} of {len(WISHES)}, {spent_s:.0f} s", flush=True)
        if spent_s > limit_s:
            return


def proof_of(kept: dict[str, Any], item: Wish) -> Proof:
    """Return a proof that was kept, held to the rules of now."""
    proof = Proof(**kept["proof"])
    hint, text = item.instruction or "", kept["text"]
    misses = missed(directions_of(hint), text, given=item.reply, ended=kept.get("ended", True))
    if apologises(text) and not apologises(hint):
        misses = "it apologises"
    wished, misses = directions_of(hint), proof.misses or misses
    fails = missed(wished, item.reply, given=item.reply, ended=True)
    return replace(proof, misses=misses, obeys=bool(fails) and not misses)


def chosen(item: Wish, candidates: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the candidate that the learner would take, by what was kept of them."""
    for number in (1, 2):
        some = [each for each in candidates if each["round"] <= number]
        tried = [
            Tried(Candidate(str(place), (), ()), proof_of(each, item))
            for place, each in enumerate(some)
        ]
        best = best_of(tried)
        if best is not None:
            return some[int(best.candidate.made)]
    return None


def is_about(text: str, item: Wish) -> bool:
    """Tell whether a rewrite shares a word with the question, or with an answer to it.

    Apologies share none: what the complaint says is not looked at.
    """
    known = f"{item.prompt} {item.reply} {item.rewrite}".casefold()
    return bool(set(_WORD.findall(known)) & set(_WORD.findall(text.casefold())))


def fulfils(text: str, item: Wish) -> bool:
    """Tell whether a program finds what was wished, and no apology that nobody asked for."""
    obeys = item.check is None or item.check.obeys(text)
    return obeys and (item.kind == "tone" or Check(no_apology=True).obeys(text))


def table(items: Sequence[Wish], found: dict[str, Any]) -> list[str]:
    """Return acceptance by kind, beside the teacher's first reply taken unseen."""
    lines = [
        "| kind | complaints | accepted | … fulfil | … about | … both | … apologise "
        "| unseen: fulfil | … about | … both | … apologise |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    kinds = sorted({str(item.kind) for item in items})
    for kind in (*kinds, "all"):
        some = [item for item in items if kind in ("all", item.kind)]
        taken = [
            (item, lesson["text"]) for item in some if (lesson := chosen(item, found[item.id]))
        ]
        unseen = [(item, found[item.id][0]["text"]) for item in some if found[item.id]]
        numbers = [len(some), len(taken), *counts(taken), *counts(unseen)]
        lines.append(f"| {kind} | " + " | ".join(map(str, numbers)) + " |")
    return lines


def counts(rewrites: Sequence[tuple[Wish, str]]) -> list[int]:
    """Count those that fulfil the wish, are about the question, do both, and apologise."""
    obey = [fulfils(text, item) for item, text in rewrites]
    about = [is_about(text, item) for item, text in rewrites]
    both = sum(map(all, zip(obey, about, strict=True)))
    sorry = sum(not Check(no_apology=True).obeys(text) for _, text in rewrites)
    return [sum(obey), sum(about), both, sorry]


def told(items: Sequence[Wish], found: dict[str, Any]) -> Iterable[str]:
    """Say of each complaint what was taken, or why the teacher's first rewrite was not."""
    for item in items:
        lesson = chosen(item, found[item.id])
        if not found[item.id]:
            yield f"- {item.id} ({item.instruction}) no lesson: nothing whole was said"
            continue
        shown = lesson or found[item.id][0]
        proof = proof_of(shown, item)
        good = fulfils(shown["text"], item) and is_about(shown["text"], item)
        mark = "taken" if lesson else f"no lesson: {proof.reason}"
        yield (
            f"{'+' if good else '-'} {item.id} ({item.instruction}) {mark} [{shown['made']}; "
            f"about {proof.about:+.2f}, follows {proof.follows:+.2f}, to the point "
            f"{proof.to_the_point:+.2f}] {shown['text'][:100]!r}"
        )


def main() -> None:
    """Find candidates, or read those that were kept, and print acceptance by kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, default=Path("rewrites.json"))
    parser.add_argument("--from", dest="known", type=Path, help="what an earlier run kept")
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--limit-s", type=float, default=3600, help="stop after this long")
    parser.add_argument("--list", action="store_true", help="every complaint, too")
    given = parser.parse_args()
    if given.known is None:
        find(WISHES, given.keep, max_tokens=given.max_tokens, limit_s=given.limit_s)
    found = json.loads((given.known or given.keep).read_text())
    halves = {"limits were chosen on": WISHES[1::2], "the other half": WISHES[0::2]}
    for name, half in halves.items():
        measured = [item for item in half if item.id in found]
        print(f"\n{name}: {len(measured)} complaints")
        print("\n".join(table(measured, found)))
        if given.list:
            print("\n".join(told(measured, found)))


if __name__ == "__main__":
    main()

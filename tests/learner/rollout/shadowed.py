"""A line with a candidate that nobody sees, for the tests of the policy shadow."""

from typing import Literal

from learner.intake import take
from learner.judges.open import open_judges
from learner.options.hearing import Verifier
from learner.settings import LearnerSettings
from learner.verdicts import Rules
from streams.log.contract import Entry, Partition
from streams.records import Message, Turn, encode
from tests.learner.rollout.stage import SETTINGS, Stage
from tests.learner.turns import said, turn

SHADOW = SETTINGS.model_copy(update={"policy": "shadow"})
VERIFIED = LearnerSettings(
    judges=("explicit", "lexical", "verifier"),
    verifiers=(Verifier(name="capital", asked="capital", answer="Paris"),),
)
NUMBERS = iter(range(10**9))


class Shadow(Stage):
    """A line with a candidate that nobody sees, whose turns come by way of the log."""

    def log(self, *turns: Turn) -> None:
        """Let the learner take turns."""
        rules = Rules(
            line=self.name,
            judges=open_judges(VERIFIED),
            idle_close_ms=10**9,
            max_record_bytes=10**6,
        )
        with self.store.transaction() as session:
            for each in turns:
                place = Partition("turns", next(NUMBERS))
                entry = Entry(place, 0, each.session, each.id, encode(each), self.now_ms)
                take(session, [entry], rules)

    def beside(
        self,
        number: int,
        shown: str,
        unseen: str,
        *,
        finish: Literal["stop", "cancelled"] = "stop",
        principal: str = "",
        candidate: str = "new",
    ) -> list[Turn]:
        """Let people ask once each; the candidate answers beside, unseen."""
        turns = []
        for _ in range(number):
            person = next(self.people)
            asked = said(f"What is the capital of France? I am {self.name} {person}")
            first = turn(
                asked, shown, id=f"{self.name}-{person}", line=self.name, created_ms=self.now_ms,
                principal=principal or f"person-{person}", tokens=(1, 2, 3),
            )  # fmt: skip
            second = first.model_copy(
                update={
                    "id": f"{first.id}-beside",
                    "version": candidate,
                    "beside": first.id,
                    "reply": Message(role="assistant", content=unseen),
                    "finish_reason": finish,
                }
            )
            turns += [first, second]
        self.log(*turns)
        return turns

"""Probe: how many benign prompts are answered usefully.

A candidate that refuses everything, goes round in circles or talks gibberish is as bad as one that
refuses nothing (learner.safety.readings.replies).
"""

from learner.safety.probe import FallProbe, Measurement, Probe
from learner.safety.readings.asking import Subject
from learner.safety.readings.replies import is_useful
from learner.settings import LearnerSettings


def ask(subject: Subject) -> Measurement:
    """Read the replies to the benign prompts, beside what the base thinks of them."""
    questions = subject.questions
    answers = zip(subject.to_benign, subject.benign_logprobs, questions.base_logprobs, strict=True)
    useful = sum(
        is_useful(questions.text(reply), reply, logprob=logprob, base_logprob=base_logprob)
        for reply, logprob, base_logprob in answers
    )
    return Measurement(useful, of=len(questions.benign))


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the tolerance of the settings."""
    title = "useful answers to benign prompts"
    return FallProbe("useful", 1, title, "", ask, limit=settings.gate_tolerance, worst=0)

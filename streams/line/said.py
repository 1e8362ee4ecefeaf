"""What happens to a line in words, the same ones in the console and in a shell."""

from typing import Final

from streams.records import State, Verb

# What a learner that tries one candidate at a time says that it waits for, before the name.
TRIALS_END: Final = "the end of the trial of"

_PLAIN: Final[dict[Verb, str]] = {
    "promote": "Promoted to everybody",
    "promote-full": "Promoted to everybody at once",
    "pause": "Paused",
    "resume": "Resumed",
    "hold": "Held",
    "abort": "Aborted",
    "rollback": "Taken back",
    "reset": "Reset to the base",
    "learn": "Learning switched on again",
}


def did(verb: Verb, state: State, share: float) -> str:
    """Return what was done, as a person says it.

    share: of the sessions that the candidate answers from then on, 0 to 1

    >>> did("step", "running", 0.25), did("step", "completed", 1.0)
    ('Went on to 25 % of the sessions', 'Promoted to everybody')
    >>> did("abort", "aborted", 0.0)
    'Aborted'
    """
    if verb in ("step", "skip-step"):
        done = "Went on to" if verb == "step" else "Skipped on to"
        if state == "running":
            return f"{done} {_percent(share)} of the sessions"
        return _PLAIN["promote"] if verb == "step" else "Skipped the last step, to everybody"
    if verb != "start":
        return _PLAIN.get(verb, verb)  # a later build may know more of them
    if state == "pending":
        return "Offered for a trial"
    return f"Started on {_percent(share)} of the sessions" if share else "Started unseen"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + " %"

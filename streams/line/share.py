"""Which sessions a candidate answers: sticky by session, the same in every process.

A session has a place between 0 and 1, by a hash that is keyed with the candidate's name, and
belongs to the candidate where that place lies below its share. So a share that grows keeps the
sessions that it had; a trial that is stopped and started again has the same sessions; and the next
candidate has others, so that nobody is always the first.

Pure. Knows nothing of what serves.
"""

from hashlib import blake2b


def place(session: str, candidate: str) -> float:
    """Return a session's place in the trial of a candidate, from 0 to below 1.

    >>> place("a session", "a version") == place("a session", "a version")
    True
    """
    digest = blake2b(
        session.encode("utf-8", "surrogatepass"),
        key=candidate.encode()[:64],
        digest_size=8,
    ).digest()
    return (int.from_bytes(digest) >> 11) / 2**53


def belongs(session: str, candidate: str, share: float) -> bool:
    """Return whether a session is one of the candidate's share, 0 to 1 of all."""
    return place(session, candidate) < share

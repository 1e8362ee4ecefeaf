"""Whether sessions were shared out as they should: the test of a sample-ratio mismatch.

Where the candidate answers a share of the sessions that is not its own (a replica that lacks it, a
cache in front), the sessions that it answers are not like the others, and no comparison holds. The
test may be looked at after every session: the bets against the share are a mixture over all shares,
whose capital passes 1/α with probability α at most (Ville; Lindon & Malek 2022, "Anytime-valid
inference for multinomial count data", equation 4, with two outcomes).

Pure.
"""

import math

# A mismatch stops every rollout, and sessions are many: one alarm in a thousand rollouts is enough.
ALPHA = 0.001


def mismatched(candidate: int, sessions: int, share: float, *, alpha: float = ALPHA) -> bool:
    """Return whether the candidate's sessions cannot be a share of all, as it should be.

    candidate: sessions that it answered, of `sessions` in all
    share: what it should answer, 0 to 1

    >>> mismatched(52, 1000, 0.05), mismatched(0, 1000, 0.05), mismatched(0, 20, 0.05)
    (False, True, False)
    """
    stable = sessions - candidate
    if not 0 < share < 1:
        return candidate > 0 if share <= 0 else stable > 0
    # Beta(1, 1) over the shares: the integral of p^k (1-p)^(n-k), against the expected share's.
    mixture = math.lgamma(candidate + 1) + math.lgamma(stable + 1) - math.lgamma(sessions + 2)
    expected = candidate * math.log(share) + stable * math.log1p(-share)
    return mixture - expected > -math.log(alpha)

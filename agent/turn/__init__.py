"""1 answer: an ask, the variant that answers it, what was said, kept as a turn.

For others: answer, ask, assign, held.constraint, held.held, intake, making.beside, making.merged,
named, origin.origin, origin.sessions, own.allowed, own.loop, own.offer, own.told, proof.holding,
proof.job, proof.prover, recorder, reply, response_ids.
"""

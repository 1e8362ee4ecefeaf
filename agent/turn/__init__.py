"""1 answer: an ask, the variant that answers it, what was said, kept as a turn.

For others: answer, ask, assign, constraint, held, named, origin, own.loop, own.offer, own.told,
recorder, reply, response_ids, sessions.
"""

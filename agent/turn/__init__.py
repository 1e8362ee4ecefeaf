"""1 answer: who asks for what, which version answers, what was said, kept as a turn.

For others: answer, ask, assign, recorder, reply, response_ids, sessions.
"""

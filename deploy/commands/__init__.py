"""One file a command of `quickset`: each reads its arguments, calls one part, prints the answer.

For others: agent, config, demo, forget, keys, learn, learner, line.lessons, line.reset,
line.rollouts, line.safety, line.versions, mcp, prepare, replay, streams, turns, up.
"""

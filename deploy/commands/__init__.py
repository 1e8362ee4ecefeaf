"""One file a command of `quickset`: each reads its arguments, calls one part, prints the answer.

For others: agent, config, demo, forget, learn, learner, prepare, replay, rollouts, streams, turns,
up, versions.
"""

"""Agent and learner as processes of one machine, watched and started again.

For others: home, logs, model, parent, ports, process, progress, ready, supervisor.
"""

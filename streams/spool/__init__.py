"""Records on their way from an agent to the log: on disk where the log cannot have them at once.

For others: file, folder, spool.
"""

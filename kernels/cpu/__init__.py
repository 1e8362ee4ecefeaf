"""The arithmetic on processors: compiled loops and torch products.

For others: attention, backend, lanes, step, strips, threads.
"""

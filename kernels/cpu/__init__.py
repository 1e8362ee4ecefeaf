"""The arithmetic on processors: compiled loops and torch products.

For others: backend, compiled, threads.
"""

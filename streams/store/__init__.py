"""The store: tables, transactions, and the offset kept with what was derived from it.

For others: lease, offsets, outbox, states, store, tables.
"""

"""The store: tables, transactions, and the offset kept with what was derived from it.

Knows nothing of how the rows come about, of judges or weights.

For others: any_text, given, insert, lease, lesson_tables, offsets, outbox, rest_tables, states,
store, tables.
"""

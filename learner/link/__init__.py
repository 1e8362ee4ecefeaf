"""2 link: what followed each reply.

For others: chores, clients, conversation, follow, layers, letters, rows.
"""

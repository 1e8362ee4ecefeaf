"""2 link: what followed each reply.

For others: alike, anew, chores, clients, conversation, follow, layers, letters, rows.
"""

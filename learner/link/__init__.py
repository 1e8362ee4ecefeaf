"""2 link: what followed each reply.

For others: conversation.
"""

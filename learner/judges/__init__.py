"""3 judge: what followed a reply becomes a verdict on it; a port and one file a judge.

For others: judge, lexical, open, rows, slow.later, text, wishes.
"""

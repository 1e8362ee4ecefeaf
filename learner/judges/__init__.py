"""3 judge: what followed a reply becomes a verdict on it; a port and one file a judge.

For others: judge, open, rows, slow.later, wishes.
"""

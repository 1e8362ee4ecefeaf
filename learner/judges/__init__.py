"""3 judge: what followed a reply becomes a verdict on it; a port and one file a judge.

For others: directions, judge, lexical, obeys, open, rows, slow.later, text, wishes.
"""

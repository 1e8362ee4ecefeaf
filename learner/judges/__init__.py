"""3 judge: what followed a reply becomes a verdict on it; a port and one file a judge.

For others: acts.wording, judge, lexical, open, reading.text, rows, slow.later, wishes.
"""

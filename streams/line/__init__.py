"""What all processes agree on: which version serves, every recipe, mask and snapshot.

For others: ledger, line, masks, snapshots, variant, verbs.
"""

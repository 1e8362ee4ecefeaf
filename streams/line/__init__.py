"""What all processes agree on: which version serves, every recipe, mask and snapshot.

For others: became, ledger, line, masks, offer, policy, said, share, snapshots, stopped,
variant, verbs.
"""

"""The arithmetic on GPUs, in Triton.

For others: backend.

Read after the reference: noise (signs in registers), numbers (weights in and out), members,
update (the one pass), logprob, variance; backend puts them behind kernels.contract's contract.
"""

"""The arithmetic on GPUs, in Triton.

For others: backend.

Read after the reference: noise (made in registers), numbers (weights in and out), members, update
(the one pass), logprob, moments; backend puts them behind kernels.contract.
"""

"""10 swap: follows what the log decides, proves each version aside, flips between two tokens.

For others: book, follow, residents, swapper.
"""

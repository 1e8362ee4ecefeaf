"""What a person said after a reply: without what is a program's or pasted, in clauses of tokens."""

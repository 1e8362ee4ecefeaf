"""Judges that ask something outside of this process, a program or a model, beside the log."""

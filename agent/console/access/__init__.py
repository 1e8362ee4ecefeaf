"""Whom the console lets in, and to what: keys, sessions, roles, and wrong guesses."""

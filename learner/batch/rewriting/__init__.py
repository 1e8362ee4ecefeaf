"""Rewrites of replies that got a hint: made by the teacher, and proved to be lessons."""

"""4 batch: which judged turns score the next generation, and what each of them teaches.

For others: borne, hints, lesson, lessons, plan, rewriting.teacher, standing, when, when.mode,
when.quiet, when.rests, window.
"""

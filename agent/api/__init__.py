"""The JSON of each API: a body in, an Ask out; reply events in, the API's objects out.

For others: caller, chat.surface, completions.surface, feedback, messages.errors,
messages.request, messages.surface, models, send, surface.
"""

"""The JSON of each API: a body in, an Ask out; reply events in, the API's objects out.

For others: chat, completion, feedback, models, send.
"""

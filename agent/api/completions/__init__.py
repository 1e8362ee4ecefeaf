"""OpenAI's older Completions: POST /v1/completions, a text that is continued as it stands.

For others: request, reply, surface.
"""

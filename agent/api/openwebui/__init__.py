"""Open WebUI's thumbs, taken as feedback where a proxy repeats them to us.

For others: routes.
"""

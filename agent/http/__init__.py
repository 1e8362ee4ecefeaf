"""The edge of every page and API: keys, limits, bodies, foreign pages, one shape of errors.

For others: address, auth, body, edge, form, limits, links, names, origins, pages, runner, sse.
"""

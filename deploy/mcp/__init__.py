"""An MCP server in front of a running agent: chat with it, see what it learns, steer its versions.

For others: serve, service.
"""

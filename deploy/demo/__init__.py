"""The demo: a scripted user teaches a running service a preference, beside one that does not learn.

two services ─▶ the user chats with one, corrects or praises ─▶ new versions ─▶ both are asked
what the user never asked before ─▶ a table and a picture

For others: run.
"""

from deploy.demo.run import run

__all__ = ["run"]

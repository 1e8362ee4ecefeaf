"""A child that does not outlive its supervisor, however that one ends."""

import os
import signal
import threading


def stop_with_parent() -> None:
    """Send this process SIGTERM when its standard input closes, as it does when the parent dies."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()

"""The program `quickset` from its first moment; `python -m deploy` is the same.

An interruption while modules load ends it at once and without a trace, as it ends any program.
Knows nothing of what the commands do.
"""

import signal


def main() -> None:
    """Load the commands and run one."""
    interrupted = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from deploy.cli import main as run

    signal.signal(signal.SIGINT, interrupted)
    run()


if __name__ == "__main__":
    main()

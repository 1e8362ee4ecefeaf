"""A bar for work that tells which stage it is in, and how far."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def stages(first: str) -> Iterator[Callable[[str, float], None]]:
    """Show a bar on the terminal's error stream; told a stage and the share of it that is done."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task(first, total=1.0)
        yield lambda stage, share: bars.update(bar, description=stage, completed=share)

"""The progress bar of long commands: steps done, rate, time left."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class RateColumn(ProgressColumn):
    """Steps a second, over the last seconds."""

    def render(self, task: Task) -> Text:
        """Return the rate, or nothing before it is known."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


def progress_bar(console: Console) -> Progress:
    """Return a progress bar; its tasks count steps."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=console,
    )

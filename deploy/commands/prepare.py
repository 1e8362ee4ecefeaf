"""quickset prepare: what the first start would do, done before it (for an image, say)."""

import typer

from deploy.commands.options import with_settings
from deploy.settings.load import InForce
from deploy.up.model import convert, require_model


@with_settings("model")
def prepare(in_force: InForce) -> None:
    """Convert the bundled model into the cache, and compile; the first `up` does it otherwise."""
    model = in_force.settings.model
    require_model(model)
    if model.path is not None:
        typer.echo(f"{model.path} needs no preparation")
        return
    convert(model)
    typer.echo(f"the model is ready in {model.cache}")

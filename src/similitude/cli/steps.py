"""`similitude steps`: the embedding spectrum of a self-supervised run of the user's own encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from similitude.cli.screen import Screen

if TYPE_CHECKING:
    from torch import Tensor, nn

    from similitude.theory.joint_embedding.steps import EmbeddingSteps


def steps(
    factory: str,
    /,
    *,
    width: Annotated[list[str] | None, Parameter(negative="")] = None,
    data: str | None = None,
    pairs: str | None = None,
    loss: str = "barlow_twins",
    lr: str | None = None,
    steps: int = 1000,
    every: int = 5,
    examples: int | None = None,
    optimizer: str | None = None,
    predict: Annotated[bool, Parameter(negative="")] = False,
    seed: int = 0,
    log: Path | None = None,
    report: Path = Path("steps.html"),
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train your encoder on pairs of views, and say when each dimension of its embedding switches on.

    Every step takes all pairs. The exit code is 0 where the dimensions switched on one by one, 1 where they rose
    together or training diverged, 3 where that cannot be told.

    Parameters
    ----------
    factory:
        A function of the width or of nothing that returns an encoder, as module:name or file.py:name. It gives
        embeddings of shape (samples, dimensions).
    width:
        Width of the encoder: 64, or width=64,depth=4. Leave it out for a function of nothing.
    data:
        A set of images (see `similitude data list`), or name=path for your own files: views are shifted by a pixel,
        brighter or darker, and noisy.
    pairs:
        In place of --data: your own two views as module:name or file.py:name, a tuple (A, B) of tensors or a function of
        nothing that gives it.
    loss:
        barlow_twins, vicreg, spectral_contrastive, simclr, simclr_raw (without normalization), or loss(a, b) of two
        embeddings as module:name.
    lr:
        Learning rate; powers of two may be written 2^-9. 0.01 by default.
    steps:
        Optimizer steps.
    every:
        Steps between records of the spectrum.
    examples:
        Images of --data; 128 by default.
    optimizer:
        A class of torch.optim by its name, or module:name. Plain gradient descent by default, with time counted as
        learning rate times steps.
    predict:
        Predict the times from the encoder's tangent kernel at its start. Barlow Twins and plain gradient descent alone.
    seed:
        Seed of the encoder and of the views.
    log:
        Write every record to this file at once, one JSON object per line; `similitude staircase` reads it.
    report:
        The HTML file, with the eigenvalues, the effective rank and the loss along time.
    json:
        Print everything as one JSON object on standard output.
    """
    kept = "" if log is None else f"Records made so far are in {log}."
    with Screen(as_json=json, kept=kept) as screen:
        from similitude.cli.factories import load_factory, load_optimizer
        from similitude.cli.models import build_model
        from similitude.cli.options import at_least, rate
        from similitude.cli.sizes import size
        from similitude.core.errors import TheoryError
        from similitude.report.steps_page import write_steps_page
        from similitude.report.steps_table import steps_table
        from similitude.theory.joint_embedding.tracker import EmbeddingTracker
        from similitude.theory.joint_embedding.training import train_encoder

        for option, value in (("--steps", steps), ("--every", every), ("--examples", examples)):
            if value is not None:
                at_least(value, 1, option)
        if pairs is not None and examples is not None:
            screen.say("Note: --examples has no effect on --pairs.")
        if predict and (loss != "barlow_twins" or optimizer is not None):
            raise TheoryError(
                "--predict: theory is of --loss barlow_twins and plain gradient descent. Leave out --loss and "
                "--optimizer, or --predict."
            )
        dials = None if width is None else size(width, "--width")
        views = _views(data, pairs, examples or 128, seed)
        encoder = build_model(load_factory(factory), dials, factory, seed=seed)
        found = 0.01 if lr is None else rate(lr, "--lr")
        cls = None if optimizer is None else load_optimizer(optimizer)
        predicted = _predict(encoder, views) if predict else None
        if predicted is not None and found > predicted.largest_lr:
            screen.say(
                f"Note: --lr {found:g} is above {predicted.largest_lr:.3g}, what the kernel at the start bears."
            )
        measured: Any = (
            load_factory(loss, what="a function loss(a, b) of two embeddings") if ":" in loss else loss
        )
        run = train_encoder(
            encoder,
            views,
            lr=found,
            steps=steps,
            loss=measured,
            optimizer=None if cls is None else lambda parameters: cls(parameters, lr=found),
            tracker=EmbeddingTracker(views, every=every, log=log),
        )
        name = factory.rpartition(":")[2]
        screen.say(steps_table(run, name=name, predicted=predicted))
        ran = {
            "encoder": factory,
            "views": data or pairs,
            "loss": loss,
            "learning rate": found,
            "steps": steps,
        }
        ran |= {"optimizer": optimizer or "gradient descent", "seed": seed}
        page = write_steps_page(run, report, name=name, settings=ran, predicted=predicted).resolve()
        screen.say(f"Report: {page}")
        told = None if predicted is None else predicted.to_dict()
        screen.result(
            {
                "factory": factory,
                "loss": loss,
                "lr": found,
                "predicted": told,
                **run.to_dict(),
                "report": str(page),
            }
        )
    return run.verdict().exit_code


def _views(data: str | None, pairs: str | None, examples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Find the two views by what the user gave.

    Raises:
        FactoryError: None or both are given, or what is named is no pair of tensors.
        DataError: The data set is not there, malformed, or none of images.
    """
    from torch import Tensor

    from similitude.cli.batches import load_batches
    from similitude.cli.factories import load_object
    from similitude.core.errors import DataError, FactoryError
    from similitude.data.batches import ImageBatches
    from similitude.theory.joint_embedding.views import image_views

    if (data is None) == (pairs is None):
        raise FactoryError(
            "the encoder is trained on two views of the same samples. Give either --data NAME of images, e.g. --data "
            "digits, or --pairs module:name of a tuple (A, B)."
        )
    if data is not None:
        batches, _ = load_batches(data, batch_size=examples)
        if not isinstance(batches, ImageBatches):
            raise DataError(
                f"--data {data} has no images to take views of. Give two views of your own as --pairs."
            )
        return image_views(batches.batch(seed=seed, step=0)[0], seed=seed)
    given = load_object(str(pairs))
    given = given() if callable(given) else given
    match given:
        case (Tensor() as first, Tensor() as second) if first.shape == second.shape and len(first):
            return first, second
    raise FactoryError(
        f"--pairs {pairs} is no pair of tensors of one shape. Give a tuple (A, B) of two views."
    )


def _predict(encoder: nn.Module, views: tuple[Tensor, Tensor]) -> EmbeddingSteps:
    """Return what theory has for the tangent kernel of the encoder as it is, from the embedding that it gives."""
    import torch

    from similitude.landscape.ntk import ntk_gram
    from similitude.theory.joint_embedding.steps import embedding_steps

    both = torch.cat(views)
    with torch.no_grad():
        start = encoder(both).double()
    return embedding_steps(ntk_gram(encoder, both, of="trace").matrix.double(), start.shape[1], start=start.T)

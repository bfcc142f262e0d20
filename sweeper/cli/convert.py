"""`sweeper prepare`: published checkpoints as files that hold no code."""

import errno
from pathlib import Path
from typing import Any

import click

from trainables.errors import ConfigError


def prepare_stylegan2(source: Path, output: Path | None, *, force: bool = False) -> dict[str, Any]:
    """Write the StyleGAN2 pickle at `source` as safetensors; return what it holds.

    output: the new file, by default beside `source`; one that exists is replaced only by `force`. Returns the
    file, ``replaced``, resolution, latent_size, style_size, layers, labels, and how many parameters each
    network has. Raises `ConfigError` for a source that cannot be used or an output that cannot be written.
    """
    from safetensors import SafetensorError

    from trainables.nn.stylegan2.checkpoint import convert, is_converted

    target = output or source.with_suffix(".safetensors")
    if is_converted(source):
        raise ConfigError(
            f"expected a published .pkl, got {source}, which is a safetensors file; a study can use it as "
            "it is"
        )
    replaced = target.exists()
    if replaced and (target.is_dir() or not force):
        raise ConfigError(
            f"expected a new file, but {target} exists; choose another (-o)"
            + ("" if target.is_dir() else " or replace it (--force)")
        )
    try:
        checkpoint = convert(source, target)
    except (OSError, SafetensorError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ConfigError(
            f"expected a file that can be written, got {target} ({getattr(error, 'strerror', None) or error})"
        ) from None
    shape = checkpoint.shapes.generator
    generator, discriminator = checkpoint.networks()
    return {
        "file": str(target.resolve()),
        "replaced": replaced,
        "resolution": shape.resolution,
        "latent_size": shape.latent_size,
        "style_size": shape.style_size,
        "layers": shape.layers,
        "labels": shape.label_size,
        "generator_parameters": sum(weight.numel() for weight in generator.parameters()),
        "discriminator_parameters": sum(weight.numel() for weight in discriminator.parameters()),
    }


def show_stylegan2(written: dict[str, Any]) -> None:
    """Print what `prepare_stylegan2` wrote, and how a study uses it."""
    labels = f", {written['labels']} labels" if written["labels"] else ""
    millions = [f"{written[f'{name}_parameters'] / 1e6:.1f} M" for name in ("generator", "discriminator")]
    click.echo(
        f"{'replaced' if written['replaced'] else 'written'}: {written['file']}\n"
        f"StyleGAN2 of {written['resolution']} x {written['resolution']} pixels; latents of "
        f"{written['latent_size']} numbers, {written['layers']} styles of {written['style_size']}{labels}; "
        f"{millions[0]} parameters (discriminator {millions[1]}); images of about [-1, 1], "
        "which the prior shows as [0, 1]\n"
        "In a study:\n"
        f"  prior: {{kind: stylegan2, path: {written['file']}}}  # crop: N shows the middle N pixels only"
    )

"""`sweeper prepare`: published checkpoints as files that hold no code, published data sets looked over."""

import dataclasses
import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sweeper.storage.home import Home
from trainables.errors import ConfigError
from trainables.storage.strict_yaml import dump_yaml, parse_yaml

RECORDS = "datasets"  # in a home: what was prepared


def prepare_stylegan2(source: Path, output: Path | None, *, force: bool = False) -> dict[str, Any]:
    """Write the StyleGAN2 pickle at `source` as safetensors; return what it holds.

    output: the new file, by default beside `source`; one that exists is replaced only by `force`. Returns the
    file, ``replaced``, resolution, latent_size, style_size, layers, labels, and how many parameters each
    network has. Raises `ConfigError` for a source that cannot be used or an output that cannot be written.
    """
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
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ConfigError(
            f"expected a file that can be written, got {target} ({error.strerror or error})"
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
    prior = {"kind": "stylegan2", "path": written["file"]}
    millions = [f"{written[f'{name}_parameters'] / 1e6:.1f} M" for name in ("generator", "discriminator")]
    click.echo(
        f"{'replaced' if written['replaced'] else 'written'}: {written['file']}\n"
        f"StyleGAN2 of {written['resolution']} x {written['resolution']} pixels; latents of "
        f"{written['latent_size']} numbers, {written['layers']} styles of {written['style_size']}{labels}; "
        f"{millions[0]} parameters (discriminator {millions[1]}); images of about [-1, 1], "
        "which the prior shows as [0, 1]\n"
        "In a study:\n"
        f"  prior: {dump_yaml(prior, flow=True).rstrip()}  # crop: N shows the middle N pixels only"
    )


def prepare_dataset(
    kind: str, root: Path, home: Home, knobs: Sequence[str] = (), *, partial: bool = False
) -> dict[str, Any]:
    """Check the published data set `kind` at `root`, note it in the home; return the note and its "file".

    knobs: ``name=value`` items, values read as YAML. partial: counts may differ from the published ones.
    Raises `ConfigError` for what is missing, or differs.
    """
    from trainables.config import load_method
    from trainables.datasets.base import Dataset
    from trainables.datasets.preparation import prepare
    from trainables.storage.disk import disk_errors, write_text

    document: dict[str, Any] = {"kind": kind, "root": os.path.abspath(root)}
    for item in knobs:
        name, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"expected knob=value, got {item!r} (-S)")
        document[name] = parse_yaml(value, f"-S {name}")
    prepared = prepare(
        load_method(Dataset, document, f"prepare {kind}"), home.root / ".digests", partial=partial
    )
    file = home.root / RECORDS / f"{prepared.name}.json"
    note = dataclasses.asdict(prepared)
    with disk_errors(home.root):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(note, indent=1, ensure_ascii=False))
    return {**note, "file": str(file)}


def show_dataset(note: dict[str, Any]) -> None:
    """Print what `prepare_dataset` noted, and how a study uses it."""
    from trainables.datasets import DATASETS

    for name, count in note["counts"].items():
        published = note["published"].get(name, count)
        beside = f" (published: {published:,})" if published != count else ""
        click.echo(f"{name}: {count:,}{beside or (' (as published)' if name in note['published'] else '')}")
    usage, view = note["usage"], note["usage"]["view"]
    usual = {field.name: field.default for field in dataclasses.fields(DATASETS[note["dataset"]])}
    knobs = {name: value for name, value in note["knobs"].items() if value != usual[name]}
    data = {"kind": note["dataset"], "root": note["root"], **knobs}
    cut = f"the middle {view['crop']} of {view['of']} pixels" if view["crop"] else "the largest square"
    click.echo(
        f"fingerprint: {note['fingerprint']}; labels and hashes: {note['file']}\n"
        f"cut: {'none, scaled to a square' if view['squeeze'] else cut}\n"
        "In a study:\n"
        f"  image_size: {usage['image_size']}\n"
        f"  private: {dump_yaml(data, flow=True).rstrip()}  # or public\n"
        f"  target: {{normalization: {usage['normalization']}}}"
    )

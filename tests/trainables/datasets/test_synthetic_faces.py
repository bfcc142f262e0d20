"""The embedded data: reproducible, disjoint, independent of how much is asked for."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import trainables.datasets.synthetic_faces as module
from trainables.datasets.overlap import check_disjoint
from trainables.datasets.synthetic_faces import Population, SyntheticFaces, _render
from trainables.errors import ConfigError
from trainables.storage.cache_folder import PLACE

POPULATIONS: tuple[Population, ...] = ("private", "public", "near", "far")
GOLDEN = Path(__file__).parents[2] / "golden" / "synthetic_faces.json"


def faces(**changes: Any) -> SyntheticFaces:
    return SyntheticFaces(**{"population": "private", "identities": 3, "images_per_identity": 4} | changes)


@pytest.mark.parametrize("population", POPULATIONS)
def test_shapes_names_and_files(population: Population) -> None:
    images = faces(population=population).load(40)
    assert images.pixels.shape == (12, 3, 40, 40) and images.pixels.dtype == torch.uint8
    assert images.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert images.names == tuple(f"{population}-000{i}" for i in range(3))
    assert len(set(images.files)) == 12 and images.reserved is None


@pytest.mark.parametrize("population", POPULATIONS)
def test_a_picture_does_not_depend_on_how_many_are_asked_for(population: Population) -> None:
    small = faces(population=population).load(32)
    large = faces(population=population, identities=20, images_per_identity=19).load(32)
    part = large.pixels.view(20, 19, 3, 32, 32)[:3, :4].reshape(12, 3, 32, 32)
    assert (small.pixels.int() - part.int()).abs().max() <= 1  # to within rounding


@pytest.mark.parametrize("population", POPULATIONS)
def test_pictures_are_the_recorded_ones(population: Population) -> None:
    recorded = torch.tensor(json.loads(GOLDEN.read_text())[population])
    found = faces(population=population, identities=2, images_per_identity=2).load(32).pixels.float()
    coarse = torch.nn.functional.avg_pool2d(found, 8)
    assert (coarse - recorded).abs().max() < 1  # of 255, on every platform


def test_another_process_draws_the_same() -> None:
    script = (
        "import torch, sys; torch.set_num_threads(1); torch.manual_seed(5)\n"
        "from trainables.datasets.synthetic_faces import SyntheticFaces\n"
        "data = SyntheticFaces(population='private', identities=3, images_per_identity=4).load(32)\n"
        "sys.stdout.buffer.write(data.pixels.numpy().tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    other = torch.frombuffer(bytearray(done.stdout), dtype=torch.uint8).view(12, 3, 32, 32)
    assert (faces().load(32).pixels.int() - other.int()).abs().max() <= 1


def test_seed_and_population_change_the_people() -> None:
    sets = [faces(population=population, seed=seed).load(32) for population in POPULATIONS for seed in (0, 1)]
    for i, one in enumerate(sets):
        for other in sets[:i]:
            assert (one.pixels.float() - other.pixels.float()).abs().mean() > 5
    for one, other in pairwise(sets[::2]):
        check_disjoint(one, other)


def test_one_person_resembles_himself_more_than_others() -> None:
    """Mean distance of pictures to their own person's mean picture is below that to any other's, for most."""
    images = faces(identities=10, images_per_identity=40).load(32)
    pictures = images.pixels.float().view(10, 40, -1)
    means = pictures[:, :20].mean(1)
    nearest = torch.cdist(pictures[:, 20:].reshape(200, -1), means).argmin(1)
    accuracy = (nearest == torch.arange(10).repeat_interleave(20)).float().mean().item()
    assert 0.2 < accuracy < 0.9  # told apart far above chance (0.1), but not by mere pixel means


def test_the_same_data_is_rendered_once() -> None:
    _render.cache_clear()
    assert faces().load(32) is faces().load(32)
    assert faces().load(32) is not faces().load(36)


def test_where_there_is_a_store_one_process_draws_and_others_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 12 * 3 * 32**2)
    drawn = faces().load(32).pixels.clone()
    monkeypatch.setitem(PLACE, "folder", tmp_path / "cache")

    def pixels(**changes: Any) -> torch.Tensor:
        _render.cache_clear()  # as another process would begin
        return faces(**changes).load(32).pixels

    assert torch.equal(pixels(), drawn) and len(list(tmp_path.glob("cache/*/pixels"))) == 1
    pixels(identities=2)  # too few to be worth a file
    assert len(list(tmp_path.glob("cache/*/pixels"))) == 1
    with monkeypatch.context() as patch:
        patch.setattr(module, "_draw", lambda data, size, made: {"sum": int(made.zero_().sum())})
        assert torch.equal(pixels(), drawn)
        patch.setattr(SyntheticFaces, "version", 2)  # drawn otherwise since
        assert not pixels().any()
    for changes in ({"seed": 1}, {"population": "near"}, {"images_per_identity": 5}):
        assert not torch.equal(pixels(**changes)[:12], drawn)
    assert torch.equal(pixels(), drawn)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"population": "privat"}, "one of private, public, near, far; got 'privat'"),
        ({"identities": 0}, "identities of synthetic_faces must be at least 1; got 0"),
        ({"images_per_identity": -1}, "images_per_identity of synthetic_faces must be at least 1; got -1"),
    ],
)
def test_impossible_knobs(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        faces(**changes)


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({"identities": 10**10}, (10**10 + 4) * 4 * 3 * 32**2),
        ({"identities": 10**30}, (10**30 + 4) * 4 * 3 * 32**2),
        ({"images_per_identity": 10**30}, 7 * 10**30 * 3 * 32**2),
    ],
)
def test_more_than_memory_holds_is_refused_before_any_of_it_is_drawn(
    changes: dict[str, Any], needed: int
) -> None:
    with pytest.raises(
        ConfigError, match=rf"take {needed:,} bytes, and this machine has [\d,]+ \(identities"
    ):
        faces(**changes).load(32)


def test_pictures_can_be_too_small() -> None:
    with pytest.raises(ConfigError, match="at least 32; got 16"):
        faces().load(16)

"""The stage of a prior: what it says of its fit, that older priors say nothing new, and that it goes on."""

import pytest
import torch

from trainables.config import load_trial
from trainables.datasets.base import as_float
from trainables.priors.eigenfaces import EigenfacesPrior, Portraits
from trainables.priors.fit import held_out
from trainables.runtime.run import Run
from trainables.stages.data import load_data
from trainables.stages.prior import load_prior, make_prior, prior_queries
from trainables.stages.target import make_target
from trainables.stages.warnings import fit_warnings, stored_prior_warnings
from trainables.storage.resume import Resume
from trainables.storage.store import Store

FACES = {"kind": "synthetic_faces", "population": "private", "identities": 4, "images_per_identity": 8}
DOCUMENT = {
    "image_size": 32,
    "private": FACES,
    "public": {**FACES, "population": "public"},
    "pretraining": {"kind": "none"},
    "target": {"architecture": "small_cnn"},
    "defense": {"kind": "none"},
    "prior": {"kind": "eigenfaces", "components": 12},
    "attack": {"kind": "map"},
    "judge": {"kind": "classifier", "architecture": "small_cnn"},
}
TARGET = {"architecture": "small_cnn", "epochs": 1, "batch_size": 16}


def test_fit_is_measured_on_the_images_held_out_by_the_trials_seed(tmp_path):
    config = load_trial({**DOCUMENT, "seed": 5})
    made = make_prior(config, config.prior, store=Store(tmp_path))
    networks = load_prior(config, config.prior, made.path, 4, "cpu")
    pixels = load_data(config).public.pixels
    images = as_float(pixels[held_out(len(pixels), Run(seed=5))])
    shown = networks.generator(networks.generator.encode(images))
    assert made.result["fit"]["images"] == len(images) == 4
    assert made.result["fit"]["error"] == pytest.approx(
        (shown - images).square().mean().sqrt().item(), rel=1e-4
    )
    assert made.result["fit"]["error"] < made.result["fit"]["mean_image_error"]


def test_a_prior_of_finished_work_has_no_such_figure(tmp_path):
    prior = {"kind": "gmi", "width": 2, "epochs": 1, "batch_size": 8}
    config = load_trial({**DOCUMENT, "prior": prior})
    made = make_prior(config, config.prior, store=Store(tmp_path))
    assert made.result == {"public_images": 32}
    assert fit_warnings("gmi", made.result.get("fit")) == []


def test_a_prior_that_shows_no_public_image_is_a_warning(tmp_path):
    """One whose stored figures say so; its samples, of public faces, do not."""
    config = load_trial(DOCUMENT)
    made = make_prior(config, config.prior, store=Store(tmp_path))
    pixels = load_data(config).public.pixels
    torch.save(pixels.repeat(2, 1, 1, 1), made.path / "samples.pt")
    assert stored_prior_warnings("eigenfaces", made, pixels) == []
    made.result["fit"] = {"error": 0.31, "mean_image_error": 0.2, "images": 4}
    (text,) = stored_prior_warnings("eigenfaces", made, pixels)
    assert "'eigenfaces' does not fit the public images" in text and "0.310" in text and "0.200" in text


@pytest.mark.parametrize("room", [64, 5, 1])
def test_its_samples_are_the_same_however_many_images_memory_holds(room, tmp_path, monkeypatch):
    """A published generator of 1024 pixels takes more than half a gigabyte for each image."""
    monkeypatch.setattr(EigenfacesPrior, "measures_fit", False)
    config = load_trial(DOCUMENT)
    networks = config.prior.train(load_data(config).public, run=Run(seed=0))
    whole = networks.generator(torch.randn(64, 12, generator=torch.Generator().manual_seed(0))).mul(255)
    drawing, tried = Portraits.forward, []

    def small(self, latents):
        tried.append(len(latents))
        if len(latents) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return drawing(self, latents)

    monkeypatch.setattr(Portraits, "forward", small)
    made = make_prior(config, config.prior, store=Store(tmp_path))
    samples = torch.load(made.path / "samples.pt", weights_only=True)
    assert samples.dtype == torch.uint8 and (samples.float() - whole).abs().max() <= 0.51
    assert max(tried) <= 4


@pytest.mark.parametrize("kind", ["plg", "lokt"])
def test_samples_of_a_prior_that_draws_people_are_of_all_people_in_turn(kind, tmp_path):
    """They are looked at for noise and for one picture again and again: some people may be drawn well."""
    knobs = {**LOKT, "surrogate_epochs": 1} if kind == "lokt" else {"iterations": 2}
    prior = {"kind": kind, "width": 2, "batch_size": 8, **knobs}
    config = load_trial({**DOCUMENT, "prior": prior, "attack": {"kind": kind}, "target": TARGET})
    made = make_prior(config, config.prior, make_target(config, store=Store(tmp_path)), store=Store(tmp_path))
    networks = load_prior(config, config.prior, made.path, 4, "cpu")
    latents = torch.randn(64, networks.latent_size, generator=torch.Generator().manual_seed(0))
    latents[:, -1] = torch.tensor([0.0, 1.0, 2.0, 3.0]).repeat(16)
    samples = torch.load(made.path / "samples.pt", weights_only=True)
    assert (samples.float() - networks.generator(latents) * 255).abs().max() <= 0.51


class Killed(BaseException):
    """Stands for a kill."""


LOKT = {"iterations": 4, "warmup": 0, "surrogates": ["small_cnn"], "images_per_class": 2, "epoch_images": 8}
KILLED = {  # knobs of the prior and kind of its attack
    "gmi": ({"epochs": 1}, "gmi"),
    "kedmi": ({"epochs": 1}, "rlb"),
    "lokt": ({**LOKT, "surrogate_epochs": 3, "surrogate_batch": 4}, "lokt"),
}


@pytest.mark.parametrize("kind", KILLED)
def test_a_killed_training_goes_on_where_it_was_saved(kind, tmp_path, monkeypatch):
    """Killed at its third step of four: the first two were saved, and leave nothing once it is done."""
    knobs, attack = KILLED[kind]
    prior = {"kind": kind, "width": 2, "batch_size": 8, "critic_steps": 2, **knobs}
    defense = {"kind": "ssd"} if kind == "kedmi" else {"kind": "mid"}  # answers that are changed, or drawn
    config = load_trial(
        {**DOCUMENT, "prior": prior, "attack": {"kind": attack}, "defense": defense, "target": TARGET}
    )
    stores = Store(tmp_path / "store"), Store(tmp_path / "other")
    needed = [make_target(config, store=store) if kind != "gmi" else None for store in stores]

    def make(place):
        (plan,) = config.attack
        return make_prior(config, plan.prior, needed[place], store=stores[place], plan=plan)

    steps, due = [], Resume.due

    def dying(self):
        steps.append(self)
        if len(steps) == 3:
            raise Killed
        return True

    monkeypatch.setattr(Resume, "due", dying)
    with pytest.raises(Killed):
        make(0)
    (unfinished,) = (tmp_path / "store" / "prior").glob("*.unfinished")
    assert torch.load(unfinished / "prior.pt", weights_only=True)["done"] == 2
    monkeypatch.setattr(Resume, "due", due)
    again, whole = make(0), make(1)
    assert again.key == whole.key and again.result == whole.result
    assert not list((tmp_path / "store" / "prior").glob("*.unfinished"))
    samples = [torch.load(made.path / "samples.pt", weights_only=True) for made in (again, whole)]
    assert torch.equal(*samples)
    saved, expected = (torch.load(made.path / "prior.pt", weights_only=True) for made in (again, whole))
    for network, weights in expected.items():
        assert all(torch.equal(saved[network][name], value) for name, value in weights.items())
    if kind != "gmi":
        (plan,) = config.attack
        asked = prior_queries(config, plan.prior, again)
        assert asked == prior_queries(config, plan.prior, whole) and asked > 0

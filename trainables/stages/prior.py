"""The prior, as a stage: trained once for all trials, or once for each target."""

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from trainables.attacks.base import render
from trainables.attacks.plan import AttackPlan
from trainables.config import TrialConfig
from trainables.nn.conditional_gan import ConditionalGenerator
from trainables.oracle import Oracle
from trainables.priors.base import Prior, PriorNetworks, restore, state
from trainables.priors.fit import reconstruction_error
from trainables.runtime.progress import Report, silent
from trainables.runtime.run import Run
from trainables.stages.base import _common, on_machine, unfinished
from trainables.stages.data import load_data
from trainables.stages.target import load_target, seen_by
from trainables.storage.content import with_content
from trainables.storage.disk import load, save
from trainables.storage.resume import Resume
from trainables.storage.store import Stage, Store

SAMPLES_AT_ONCE = 4  # of 1024 pixels, a published generator takes more than half a gigabyte each


def make_prior(
    config: TrialConfig,
    prior: Prior,
    trained: Stage | None = None,
    *,
    store: Store,
    device: str = "cpu",
    report: Report = silent,
    plan: AttackPlan | None = None,
) -> Stage:
    """Return the trained `prior`; one that needs a target is made for `trained`, any other once for all.

    plan: of the attack that it is made for. One that sees answers alone sees no more in its prior: where the
    target's defense changes answers, or the attack averages them, the prior is taught by those.
    """
    data = load_data(config)
    target = trained if prior.needs_target else None
    seed = prior_seed(config)
    answers = {} if target is None else _answers(config, plan)

    def make(folder: Path, resume: Resume) -> dict[str, Any]:
        victim: Any = None if target is None else load_target(config, data, target).to(device)
        run = Run(seed=seed, device=device, report=report, resume=resume)
        if target is not None and plan is not None and answers:
            victim = seen_by(config, plan, victim, target.path, device, threat_model=prior.threat_model)
        networks = prior.train(data.public, run=run, target=victim)
        save(state(networks), folder / "prior.pt")
        sample = torch.randn(64, networks.latent_size, generator=torch.Generator().manual_seed(0))
        if isinstance(networks.generator, ConditionalGenerator):
            sample[:, -1] = torch.arange(64) % networks.generator.classes  # the label: all people in turn
        few_at_once = replace(run, batch_size=SAMPLES_AT_ONCE)
        save(render(networks.generator, sample, run=few_at_once), folder / "samples.pt")
        asked = {} if target is None else {"queries": prior.queries(networks, len(data.public))}
        if isinstance(victim, Oracle):
            asked = {"queries": victim.queries}
        result: dict[str, Any] = {"public_images": len(data.public), **asked}
        if prior.measures_fit:
            result["fit"] = reconstruction_error(networks, data.public, run=run)
        return result

    parts = prior_parts(config, prior)
    if target is not None:
        parts |= {"target": target.key, **answers}
    with unfinished(store, "prior", parts) as resume:
        return store.get("prior", parts, on_machine(device, functools.partial(make, resume=resume)))


def _answers(config: TrialConfig, plan: AttackPlan | None) -> dict[str, Any]:
    """Return how the answers that `plan` sees differ from those of the weights; {} for most plans."""
    if plan is None or plan.attack.threat_model == "white-box":
        return {}
    return {**({"shielded": True} if config.defense.changes_answers else {}), **plan.asking}


def prior_queries(config: TrialConfig, prior: Prior, made: Stage) -> int | None:
    """Return how many images the target was asked about for the prior `made`, see `Prior.queries`."""
    if not prior.needs_target:
        return None
    if "queries" not in made.result:  # made before they were noted
        classes = load_data(config).split.train.classes
        networks = load_prior(config, prior, made.path, classes, "cpu")
        return prior.queries(networks, made.result["public_images"])
    queries: int | None = made.result["queries"]
    return queries


def prior_seed(config: TrialConfig) -> int:
    """Return the seed that the priors are trained under."""
    return config.seed if config.prior_seed is None else config.prior_seed


def prior_parts(config: TrialConfig, prior: Prior) -> dict[str, Any]:
    """Return all that a prior depends on, but for the target that it may need."""
    return {
        **_common(config, "prior"),
        "seed": prior_seed(config),
        "prior": with_content(prior),
        "public": load_data(config).public_key,
    }


def load_prior(config: TrialConfig, prior: Prior, folder: Path, classes: int, device: str) -> PriorNetworks:
    """Return the prior trained in `folder` for a target of `classes`, ready for an attack on `device`."""
    networks = restore(prior.build(config.image_size, classes), load(folder / "prior.pt"))
    networks.generator.to(device)
    networks.discriminator.to(device)
    return networks

"""What a trial will cost on this machine: each stage is run in miniature and scaled up."""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.attacks.base import Auxiliary
from trainables.config import AttackPlan, TrialConfig
from trainables.datasets.base import Images
from trainables.datasets.split import Split
from trainables.nn.critic import Critic
from trainables.nn.inference import inference_copy
from trainables.oracle import observe
from trainables.pretraining.dataset import OnDataset
from trainables.priors.base import Prior, eval_mode
from trainables.runtime.run import Run
from trainables.stages.data import attacked_identities, load_data
from trainables.stages.target import new_target
from trainables.training.classifier import train_classifier


def estimate(config: TrialConfig, device: str = "cpu") -> dict[str, float]:
    """Return seconds for ``pretrained``, ``judge``, ``prior``, ``target`` and ``attack``, after a calibration
    of a few seconds. The target is priced as the template describes it; nothing stored is taken into account.
    ``attack`` holds all attacks of the trial with what they learn of the target first.
    """
    run = Run(device=device)
    data = load_data(config)
    train = data.split.train
    target = new_target(config, train.classes).to(device)
    few = _first(train, 2 * config.target.batch_size)

    def one_epoch() -> None:
        train_classifier(
            target,
            dataclasses.replace(config.target, epochs=1),
            config.defense,
            few,
            few,
            run=run,
        )

    per_image = _seconds(one_epoch, device) / len(few)

    pretrained = 0.0
    if isinstance(config.pretraining, OnDataset):  # the same network on other images
        images = len(config.pretraining.data.load(config.image_size))
        pretrained = per_image * images * config.pretraining.epochs

    target.eval()
    judge, small = _replace(config.judge, epochs=1), Split(train=few, validation=few, test=few)
    fit = _seconds(lambda: judge.fit(small, run=run), device)
    judged = fit / len(few) * len(train) * config.judge.epochs

    shared, own = 0.0, 0.0
    for prior in dict.fromkeys(plan.prior for plan in config.attack):
        price = _scaled(
            prior, data.public, lambda knobs, images: knobs.train(images, run=run, target=target), device
        )
        shared, own = (shared, own + price) if prior.needs_target else (shared + price, own)
    for plan in config.attack:
        recipe = plan.attack.auxiliary
        if recipe is not None:
            seen = observe(target, plan.attack.threat_model, device)
            learn = functools.partial(_learn, seen=seen, run=run)
            own += _scaled(recipe, data.public, learn, device)
    identities = len(attacked_identities(config, data))
    return {
        "pretrained": pretrained,
        "judge": judged,
        "prior": shared,
        "target": per_image * len(train) * config.target.epochs,
        "attack": own + sum(_attack(config, plan, target, device) for plan in config.attack) * identities,
    }


def _learn(recipe: Auxiliary, public: Images, *, seen: Any, run: Run) -> dict[str, Any]:
    return recipe.make(seen, public, run=run)


def _scaled(
    knobs: Prior | Auxiliary, public: Images, work: Callable[[Any, Images], object], device: str
) -> float:
    """Return the seconds of training on `public`, from one epoch over two batches.

    Knobs whose work is not counted in epochs say in ``short_run()`` what to run instead and how often it goes
    into the whole.
    """
    shortened = knobs.short_run()
    if shortened is not None:
        short, times = shortened
        return _seconds(lambda: work(short, public), device) * float(times)
    few = _first(public, 2 * knobs.batch_size)
    one_epoch = _replace(knobs, epochs=1)
    return _seconds(lambda: work(one_epoch, few), device) * len(public) / len(few) * knobs.epochs


def _attack(config: TrialConfig, plan: AttackPlan, target: Classifier, device: str) -> float:
    """Return the seconds of one identity: the price of each kind of pass, times how many there are."""
    networks = eval_mode(plan.prior.build(config.image_size, target(_blank(config, 1, device)).shape[1]))
    generator, critic = (
        inference_copy(network, device).to(device) for network in (networks.generator, networks.discriminator)
    )
    victim = inference_copy(target, device)
    rows = 16
    latents = torch.randn(rows, networks.latent_size, device=device)
    images = _blank(config, rows, device)

    def draw(z: Tensor) -> Tensor:
        made = generator(z)
        total: Tensor = critic(made).sum() + made.sum()
        return total

    def there(network: Callable[[Tensor], Tensor], x: Tensor) -> float:
        with torch.no_grad():
            return _seconds(lambda: network(x), device)

    def and_back(network: Callable[[Tensor], Tensor], x: Tensor) -> float:
        x = x.clone().requires_grad_(True)
        return _seconds(lambda: torch.autograd.grad(network(x).sum(), x), device)

    def price(network: Callable[[Tensor], Tensor], x: Tensor, forward: int, backward: int) -> float:
        if not forward and not backward:
            return 0.0
        once = there(network, x)
        back = max(0.0, and_back(network, x) - once) if backward else 0.0
        return (forward * once + backward * back) / rows

    passes = plan.attack.passes()
    # a prior's surrogates, or the discriminator that does their work where there are none
    discriminator = networks.discriminator
    surrogates = (discriminator.stand_ins() if isinstance(discriminator, Critic) else []) or [critic]
    return (
        price(draw, latents, passes.generator_forward, passes.generator_backward)
        + price(victim, images, passes.target_forward, passes.target_backward)
        + sum(
            price(
                inference_copy(network, device).to(device),
                images,
                passes.surrogate_forward,
                passes.surrogate_backward,
            )
            for network in surrogates
            if passes.surrogate_forward
        )
    )


def _blank(config: TrialConfig, count: int, device: str) -> Tensor:
    return torch.full((count, 3, config.image_size, config.image_size), 0.5, device=device)


def _replace(knobs: Any, **changes: int) -> Any:
    known = {f.name for f in dataclasses.fields(knobs)}
    return dataclasses.replace(knobs, **{k: v for k, v in changes.items() if k in known})


def _first(images: Images, count: int) -> Images:
    return images.select(torch.arange(min(count, len(images))))


def _seconds(work: Callable[[], object], device: str) -> float:
    work()  # the first call pays for lazy set-up
    start = time.perf_counter()
    work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start

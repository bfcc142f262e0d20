"""Cost of a trial on this machine: each stage is run in miniature and scaled up."""

import dataclasses
import functools
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from trainables.architectures.base import Classifier
from trainables.attacks.base import Auxiliary, in_chunks
from trainables.attacks.plan import AttackPlan
from trainables.config import TrialConfig
from trainables.datasets.base import Images
from trainables.datasets.split import Split
from trainables.defenses.base import Defense
from trainables.defenses.none import NoDefense
from trainables.judges.base import Judge, JudgeModel, logits_and_features, outputs
from trainables.nn.critic import Critic
from trainables.nn.inference import inference_copy
from trainables.nn.precision import precision_scope
from trainables.oracle import observe
from trainables.pretraining.dataset import OnDataset, learnt
from trainables.pretraining.linear_probe import frozen_features
from trainables.pretraining.none import Scratch
from trainables.priors.base import Prior, eval_mode
from trainables.runtime.duration import Duration
from trainables.runtime.load import is_busy
from trainables.runtime.memory import keep_freed_memory
from trainables.runtime.run import Run
from trainables.stages.data import Data, attacked_identities, load_data
from trainables.stages.evaluation import score
from trainables.stages.target import new_target
from trainables.training.classifier import Target, accuracy, train_classifier
from trainables.training.recipe import Recipe

STAGES = ("pretrained", "judge", "prior", "target", "attack", "evaluation")

ROWS = 16  # images of one timed pass
REPEATS, ENOUGH = 3, 1.0  # timings of one piece of work, and the seconds after which fewer do
VARIANTS = 4  # trials whose targets are priced beside the template's and one of each other defense
FROZEN_EPOCHS = 3


def estimate(
    config: TrialConfig,
    device: str = "cpu",
    *,
    threads: int | None = None,
    variants: Sequence[TrialConfig] = (),
    stages: Collection[str] = STAGES,
) -> dict[str, Duration]:
    """Return how long `stages` take, after a calibration of a few seconds, with nothing stored.

    Every timing is repeated: the low end is the fastest, the high end the slowest. ``attack`` holds all
    attacks of the trial with what they learn of the target first.

    threads: of torch while it is measured; None leaves torch alone. variants: trials of the same data that a
    sweep consists of, such as the ends of its space. Targets are then priced as a mean over many trials: from
    half-way between the cheapest and the mean variant to half-way between the mean and the dearest.
    """
    keep_freed_memory()  # as where the stages are made
    with _threads(threads):
        calibration = _Calibration(config, device, variants)
        return {stage: getattr(calibration, stage)() for stage in STAGES if stage in stages}


class _Calibration:
    """Times the stages of a trial in miniature; a method for each of `STAGES`."""

    def __init__(self, config: TrialConfig, device: str, variants: Sequence[TrialConfig]) -> None:
        self.config, self.device, self.variants = config, device, variants
        self.run = Run(device=device)
        self.data = load_data(config)
        self.train = self.data.split.train
        self.network = new_target(config, self.train.classes).to(device).eval()
        self.few = _first(self.train, 2 * config.target.batch_size)
        self.identities = len(attacked_identities(config, self.data))

    def pretrained(self) -> Duration:
        """Return the price of the backbone, and of asking what it knows of the private people."""
        config, few = self.config, self.few
        if isinstance(config.pretraining, Scratch):
            return Duration.exactly(0.0)
        private = sum(map(len, (self.data.split.train, self.data.split.validation, self.data.split.test)))
        asked = _seconds(
            lambda: outputs(lambda x: frozen_features(self.network, x), few.pixels, self.device), self.device
        ) * (private / len(few))
        if not isinstance(config.pretraining, OnDataset):
            return asked
        images = learnt(config.pretraining.data.load(config.image_size))  # the same network on other images
        plain = config.target.unfrozen().shortened(1)
        network = new_target(config, self.train.classes)
        fit = _train(network, plain, NoDefense(), few, _first(few, 1), self.device)
        return asked + fit * (images / len(few) * config.pretraining.epochs)

    def judge(self) -> Duration:
        return sum((self._fitted(judge) for judge in self.config.judges), Duration.exactly(0.0))

    def _fitted(self, judge: Judge) -> Duration:
        miniature, small = self._miniature(judge)
        fit = _seconds(lambda: miniature.fit(small, run=self.run), self.device)
        return fit * (len(self.train) / len(self.few) * judge.epochs)

    def prior(self) -> Duration:
        return self._priors(needs_target=False)

    def target(self) -> Duration:
        variants = (self.config, *_priced(self.config, self.variants))
        return _average([_target(config, self.data, self.device) for config in variants])

    def attack(self) -> Duration:
        total = self._priors(needs_target=True)
        for plan in self.config.attack:
            recipe = plan.attack.auxiliary
            if recipe is not None:
                seen = observe(self.network, plan.attack.threat_model, self.device)
                total += self._learnt(recipe, functools.partial(_learn, seen=seen, run=self.run))
            # compiling would take longer than all that is timed here
            computed = dataclasses.replace(plan.settings_on(self.device), compiled=False)
            with precision_scope(computed):
                total += _attack(self.config, plan, self.network, self.device, self.identities)
        return total

    def evaluation(self) -> Duration:
        each = Duration.exactly(0.0)
        for number, judge in enumerate(self.config.judges):
            miniature, small = self._miniature(judge)
            saved = miniature.fit(small, run=self.run)
            model, features = miniature.restore(saved, small, self.device), saved["train_features"]
            each += _opinion(model, self.few, self.device)
            if number == 0:  # its verdict, beside its opinion
                each += _evaluation(model, self.network, self.few, features, self.device)
        return each * sum(plan.attack.restarts * self.identities for plan in self.config.attack)

    def _miniature(self, judge: Judge) -> tuple[Any, Split]:
        """Return a judge with one epoch, and few images to fit it on."""
        small = Split(train=self.few, validation=self.few, test=self.few)
        return judge.shortened(1) if isinstance(judge, Recipe) else judge, small

    def _priors(self, *, needs_target: bool) -> Duration:
        priors = dict.fromkeys(plan.prior for plan in self.config.attack)
        prices = [self._prior(prior) for prior in priors if prior.needs_target == needs_target]
        return sum(prices, Duration.exactly(0.0))

    def _prior(self, prior: Prior) -> Duration:
        return self._learnt(prior, lambda part, few: part.train(few, run=self.run, target=self.network))

    def _learnt(self, knobs: Prior | Auxiliary, train: Callable[[Any, Images], object]) -> Duration:
        """Return the price of a prior or of what an attack learns first; see `ShortRun`."""
        public, few = self.data.public, _first(self.data.public, 2 * knobs.batch_size)
        short = knobs.short_run(len(few), len(public), self.train.classes)
        if short.more is None:
            return _seconds(lambda: train(short.first, public), self.device)
        once = _seconds(lambda: train(short.first, few), self.device)
        longer = _seconds(lambda: train(short.more, few), self.device).beyond(once)
        price = once + longer * short.times
        if short.asked:
            asked = _seconds(lambda: outputs(self.network, few.pixels, self.device), self.device)
            price += asked * (short.asked / len(few))
        return price


def _priced(config: TrialConfig, variants: Sequence[TrialConfig]) -> list[TrialConfig]:
    """Return those of the trials that train another target on the same images whose targets are priced.

    The first with each other defense, for one that trains a second network takes twenty times as long as
    most, and `VARIANTS` at most of the others, spread over them.
    """
    known, kinds = {(config.target, config.defense)}, {config.defense.kind}
    first: list[TrialConfig] = []
    others: list[TrialConfig] = []
    for other in variants:
        same = (other.image_size, other.private) == (config.image_size, config.private)
        if not same or (other.target, other.defense) in known:
            continue
        (others if other.defense.kind in kinds else first).append(other)
        known.add((other.target, other.defense))
        kinds.add(other.defense.kind)
    step = max(1.0, len(others) / VARIANTS)
    return first + [others[int(position * step)] for position in range(min(VARIANTS, len(others)))]


def _average(prices: Sequence[Duration]) -> Duration:
    """Return the mean price over many trials, of which nobody knows how many will be dear ones."""
    low, high = (sum(ends) / len(prices) for ends in zip(*((p.low, p.high) for p in prices), strict=True))
    ends = Duration.spanning(prices)
    return Duration(low=(low + ends.low) / 2, high=(high + ends.high) / 2)


def _target(config: TrialConfig, data: Data, device: str) -> Duration:
    """Return the price of a target: its epochs, and its accuracy on training and test images at the end.

    Where frozen stages are computed once for all epochs, some epochs are timed, which share that price.
    """
    train, validation = data.split.train, data.split.validation
    few = _first(train, 2 * config.target.batch_size)
    share = len(few) / len(train)
    target = new_target(config, train.classes).to(device)
    trained = config.target.kept_epoch or config.target.epochs
    epochs = min(trained, FROZEN_EPOCHS if config.target.frozen != "none" else 1)
    shortened = config.target.shortened(epochs)
    unseen = _first(validation, max(1, round(share * len(validation))))
    extra = 0 if config.target.kept_epoch else config.defense.extra_epochs
    fit = _train(target, shortened, config.defense, few, unseen, device)
    seen = _seconds(lambda: accuracy(target, few, device=device), device)
    total = fit * ((trained + extra) / (epochs + config.defense.extra_epochs))
    return (total + seen * (1 + len(data.split.test) / len(train))) * (1 / share)


def _train(
    target: Classifier, recipe: Target, defense: Defense, few: Images, unseen: Images, device: str
) -> Duration:
    run = Run(device=device)
    return _seconds(lambda: train_classifier(target, recipe, defense, few, unseen, run=run), device)


def _evaluation(
    judge: JudgeModel, target: Classifier, images: Images, features: Tensor, device: str
) -> Duration:
    """Return the price of one reconstruction's evaluation."""
    pixels, labels = images.pixels[:ROWS].unsqueeze(0), images.labels[:ROWS]
    return _seconds(lambda: score(judge, target, pixels, labels, features, images.labels, device), device) * (
        1 / pixels.shape[1]
    )


def _opinion(judge: JudgeModel, images: Images, device: str) -> Duration:
    """Return the price of one reconstruction's choice and score."""
    pixels = images.pixels[:ROWS]
    return _seconds(lambda: logits_and_features(judge, pixels, device), device) * (1 / len(pixels))


def _learn(recipe: Auxiliary, public: Images, *, seen: Any, run: Run) -> dict[str, Any]:
    return recipe.make(seen, public, run=run)


def _attack(
    config: TrialConfig, plan: AttackPlan, target: Classifier, device: str, identities: int
) -> Duration:
    """Return the seconds of an attack: the price of each kind of pass, times how many there are."""
    classes = target(_blank(config, 1, device)).shape[1]
    networks = eval_mode(plan.prior.build(config.image_size, classes))
    generator, critic = (
        inference_copy(network, device).to(device) for network in (networks.generator, networks.discriminator)
    )
    victim = inference_copy(target, device)
    latents = torch.randn(ROWS, networks.latent_size, device=device)
    images = _blank(config, ROWS, device)

    def draw(z: Tensor) -> Tensor:
        made = generator(z)
        total: Tensor = critic(made).sum() + made.sum()
        return total

    def timed(work: Callable[[Tensor], object], x: Tensor) -> Duration:
        """Return the price of all rows of `x`, in parts where memory does not hold them at once."""

        def part(first: int, stop: int) -> Duration:
            return _seconds(lambda: work(x[first:stop]), device)

        return sum(in_chunks(len(x), len(x), part), Duration.exactly(0.0))

    def there(network: Callable[[Tensor], Tensor], x: Tensor) -> Duration:
        with torch.no_grad():
            return timed(network, x)

    def and_back(network: Callable[[Tensor], Tensor], x: Tensor) -> Duration:
        def work(x: Tensor) -> object:
            x = x.clone().requires_grad_(True)
            return torch.autograd.grad(network(x).sum(), x)

        return timed(work, x)

    def price(network: Callable[[Tensor], Tensor], x: Tensor, forward: int, backward: int) -> Duration:
        """Return the price of `forward` passes, of which `backward` go back."""
        there_alone = max(0, forward - backward)
        total = Duration.exactly(0.0)
        if there_alone:
            total += there(network, x) * (there_alone / ROWS)
        if backward:
            total += and_back(network, x) * (backward / ROWS)
        return total

    passes = plan.attack.shared_passes() + plan.attack.passes() * identities
    asked = passes.target_forward * plan.answers_averaged
    adapted = config.defense.adapted_cost if plan.adaptive else 1.0
    # the attack's own, a prior's, or the discriminator that does their work where there are none
    own = plan.attack.surrogate_network(classes, config.image_size)
    discriminator = networks.discriminator
    brought = discriminator.stand_ins() if isinstance(discriminator, Critic) else []
    surrogates = [own] if own is not None else brought or [critic]
    return (
        price(draw, latents, passes.generator_forward, passes.generator_backward)
        + price(victim, images, asked, passes.target_backward) * adapted
        + sum(
            (
                price(
                    inference_copy(network, device).to(device),
                    images,
                    passes.surrogate_forward,
                    passes.surrogate_backward,
                )
                for network in surrogates
                if passes.surrogate_forward
            ),
            Duration.exactly(0.0),
        )
    )


def _blank(config: TrialConfig, count: int, device: str) -> Tensor:
    return torch.full((count, 3, config.image_size, config.image_size), 0.5, device=device)


def _first(images: Images, count: int) -> Images:
    return images.select(torch.arange(min(count, len(images))))


def _seconds(work: Callable[[], object], device: str) -> Duration:
    """Return how long `work` takes: `REPEATS` times or for `ENOUGH` seconds, after a first call that pays for
    lazy set-up. Where the machine is busy, the low end is the processor time that the work had."""
    threads = torch.get_num_threads()
    busy = not device.startswith("cuda") and is_busy()
    work()
    walls: list[float] = []
    own: list[float] = []
    while len(walls) < REPEATS and sum(walls) < ENOUGH:
        wall, processor = time.perf_counter(), time.process_time()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        own.append((time.process_time() - processor) / threads)
        walls.append(time.perf_counter() - wall)
    low = min(walls)
    return Duration(low=min(low, *own) if busy else low, high=max(walls))


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    """Give torch so many threads for a while."""
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)

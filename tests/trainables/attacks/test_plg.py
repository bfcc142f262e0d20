"""PLG-MI's search: its loss and steps against torch's Adam, its identity, its company."""

import pytest
import torch
from contexts import with_run
from torch import Tensor, nn

from trainables.architectures.base import Classifier
from trainables.attacks.optim.descent import Journal
from trainables.attacks.plg import PLG
from trainables.defenses.mid import MID
from trainables.errors import ConfigError
from trainables.nn.augmentation import AUGMENTATION_DRAWS, random_augmentation
from trainables.nn.conditional_gan import ConditionalGenerator, with_labels
from trainables.nn.identity_losses import max_margin
from trainables.priors.base import PriorNetworks
from trainables.runtime.progress import silent


def tiny(noisy: bool = False) -> tuple[Classifier, PriorNetworks]:
    torch.manual_seed(0)
    generator = ConditionalGenerator(4, 2, 32, 5)
    generator(torch.randn(20, 5))  # gives the batch norm statistics
    target = Classifier({"pool": nn.AvgPool2d(8)}, nn.Flatten(), nn.Linear(48, 5))
    if noisy:
        target = MID(bottleneck=4).prepare(target)
    return target.eval(), PriorNetworks(generator.eval(), nn.Identity(), 5)


def invert(attack, target, prior, identities, **options):
    arguments = {"seed": 0, "device": "cpu", "report": silent} | options
    return attack.invert(target, prior, torch.tensor(identities), **with_run(arguments))


def test_a_step_is_torchs_adam_on_the_sum_over_two_views():
    target, prior = tiny()
    steps, labels = 3, torch.tensor([1, 4])
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(2, 4, generator=generator)
    views = [torch.randn(2, 2 * AUGMENTATION_DRAWS, generator=generator) for _ in range(steps)]

    def guide(images: Tensor, labels: Tensor, noise: Tensor) -> Tensor:
        return max_margin(target(images), labels)

    attack = PLG(iterations=steps, group=2)
    nothing = iter([torch.empty(2, 0)] * steps)
    found, losses = attack.ascend([guide], [0], prior, start, labels, [iter(views), nothing], Journal())
    z = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], lr=0.1)
    for step, numbers in enumerate(views):
        images = prior.generator(with_labels(z, labels))
        first, second = (
            max_margin(target(random_augmentation(images, part)), labels)
            for part in numbers.split(AUGMENTATION_DRAWS, 1)
        )
        assert losses[step, 0].item() == pytest.approx((first + second).mean().item(), abs=1e-4)
        optimizer.zero_grad()
        (first.mean() + second.mean()).backward()
        optimizer.step()
    torch.testing.assert_close(found, with_labels(z.detach(), labels), atol=1e-4, rtol=1e-4)


def test_latents_end_with_the_identity_and_the_loss_falls():
    found = invert(PLG(iterations=30, restarts=2), *tiny(), [3, 1])
    assert found.latents.shape == (2, 2, 5)
    assert found.latents[..., -1].tolist() == [[3, 1], [3, 1]]
    assert found.history[-1]["identity_loss"] < found.history[0]["identity_loss"]


@pytest.mark.parametrize("noisy", [False, True], ids=["plain target", "MID target"])
def test_an_identity_is_inverted_the_same_in_any_company(noisy):
    attack = PLG(iterations=4, restarts=2)
    together = invert(attack, *tiny(noisy), [0, 1, 2], batch_size=4)
    alone = invert(attack, *tiny(noisy), [1])
    torch.testing.assert_close(together.latents[:, 1], alone.latents[:, 0], atol=1e-4, rtol=1e-4)


def test_a_prior_without_identities_is_refused():
    target, _ = tiny()
    plain = nn.Sequential(nn.Linear(5, 3072), nn.Unflatten(1, (3, 32, 32)))
    with pytest.raises(ConfigError, match="attack 'plg' expects a prior that makes images of an identity"):
        invert(PLG(), target, PriorNetworks(plain, nn.Identity(), 5), [0])


@pytest.mark.parametrize("knob", ["iterations", "restarts", "group", "learning_rate"])
def test_impossible_knobs(knob):
    with pytest.raises(ValueError, match=f"{knob} must be"):
        PLG(**{knob: 0})

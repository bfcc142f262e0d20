"""Attacks in image-iterations per second: ours against the loops as published, in one run, same results.

    python tests/benchmarks/attack_throughput.py
    python tests/benchmarks/attack_throughput.py --attack kedmi
    python tests/benchmarks/attack_throughput.py --device cuda --identities 300 --restarts 5 \\
        --iterations 20 --architecture vgg16_bn --width 64 --students efficientnet_b0
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from side_by_side import float64, hearing, lived, seconds, verify
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.attacks.distillation import new_student
from trainables.attacks.gmi import GMI
from trainables.attacks.kedmi import KEDMI
from trainables.attacks.lomma import LommaGMI, lomma_loss
from trainables.attacks.optim.latent import LatentSearch
from trainables.nn.inversion_discriminator import KERNEL_SIZE, KERNELS
from trainables.priors.base import PriorNetworks
from trainables.priors.gmi import GMIPrior
from trainables.priors.kedmi import KEDMIPrior
from trainables.runtime.run import Run
from trainables.runtime.seeds import row_noise, stream
from trainables.training.classifier import build_classifier

BATCH = 60  # identities that the published loops work on at once
CHECKED, CHECKED_STEPS = 8, 5  # identities and steps of the check in float64
Loss = Callable[[Tensor, Tensor], Tensor]
Loops = tuple[dict[str, Callable[[], Tensor]], int]


def published_gmi(
    loss: Loss,
    classifiers: Sequence[nn.Module],
    prior: PriorNetworks,
    starts: Tensor,
    identities: Tensor,
    attack: LatentSearch,
) -> Tensor:
    """Return final latents (R, N, Z) of the loop as published: a restart after the other, in batches of 60
    and their means, gradients of every weight computed and added up, losses read at every step.

    loss: of images (n, 3, S, S) and labels (n,), their mean, as `classifiers` see them.
    """
    networks = (*classifiers, prior.generator, prior.discriminator)
    for network in networks:
        network.eval().requires_grad_(True)
    finals = []
    for restart in starts:
        parts = []
        for start, labels in zip(restart.split(BATCH), identities.split(BATCH), strict=True):
            z = start.clone().requires_grad_(True)
            velocity = torch.zeros_like(start)
            for _ in range(attack.iterations):
                images = prior.generator(z)
                identity_loss = loss(images, labels)
                if z.grad is not None:
                    z.grad.zero_()
                prior_loss = -prior.discriminator(images).mean()
                total = prior_loss + attack.identity_weight * identity_loss
                total.backward()
                previous = velocity.clone()
                velocity = attack.momentum * velocity - attack.learning_rate * z.grad
                z = z.detach() + (-attack.momentum * previous + (1 + attack.momentum) * velocity)
                z = z.clamp(-attack.clip, attack.clip).requires_grad_(True)
                prior_loss.item(), identity_loss.item()
            parts.append(z.detach())
        finals.append(torch.cat(parts))
    for network in networks:
        network.zero_grad(set_to_none=True)
    return torch.stack(finals)


def published_kedmi(
    target: Classifier, prior: PriorNetworks, seed: int, identities: Tensor, attack: KEDMI, device: str
) -> Tensor:
    """Return final latents (R, N, Z) of the loop as published: batches of 60, gradients of every weight
    computed and added up, all pairs of images laid out in memory by the minibatch layer, losses read at
    every step."""
    parts = [
        published_kedmi_batch(target, prior, seed, labels, attack, device)
        for labels in identities.split(BATCH)
    ]
    return torch.cat(parts, dim=1)


def published_kedmi_batch(
    target: Classifier, prior: PriorNetworks, seed: int, identities: Tensor, attack: KEDMI, device: str
) -> Tensor:
    """Return final latents (R, n, Z) of one batch."""
    networks = (target, prior.generator, prior.discriminator)
    for network in networks:
        network.eval().requires_grad_(True)
    judge = prior.discriminator
    mean = torch.zeros(len(identities), prior.latent_size, device=device, requires_grad=True)
    log_variance = torch.ones_like(mean).requires_grad_(True)
    optimizer = torch.optim.Adam([mean, log_variance], lr=attack.learning_rate)
    draws, last = (
        row_noise([stream(seed, "kedmi", use, int(i)) for i in identities], prior.latent_size, device)
        for use in ("draw", "last")
    )
    for _ in range(attack.iterations):
        images = prior.generator(mean + (0.5 * log_variance).exp() * next(draws))
        features = judge.features(images)
        rows = (features @ judge.minibatch.weight.flatten(1)).view(-1, KERNELS, KERNEL_SIZE)
        apart = (rows.unsqueeze(0) - rows.unsqueeze(1)).abs().sum(3)
        nearness = (-apart).exp().sum(0) - 1
        realism = judge.head(torch.cat((features, nearness), dim=1)).logsumexp(1)
        prior_loss = functional.softplus(realism).mean() - realism.mean()
        identity_loss = functional.cross_entropy(target(images), identities)
        optimizer.zero_grad()
        (prior_loss + attack.identity_weight * identity_loss).backward()
        optimizer.step()
        prior_loss.item(), identity_loss.item()
    for network in networks:
        network.zero_grad(set_to_none=True)
    with torch.no_grad():
        drawn = [mean + (0.5 * log_variance).exp() * next(last) for _ in range(attack.restarts)]
        return torch.stack(drawn)


def gmi_loops(target: Classifier, options: argparse.Namespace, run: Run) -> Loops:
    """Return GMI's two loops, and how many images an iteration of each works on in all."""
    attack = GMI(
        iterations=options.iterations, restarts=options.restarts, group=min(BATCH, options.identities)
    )

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(target(images), labels)

    return latent_loops(attack, loss, [target], target, None, options, run)


def lomma_loops(target: Classifier, options: argparse.Namespace, run: Run) -> Loops:
    """Return the loops of LOMMA on GMI, with random students, and how many images an iteration works on."""
    students = {
        name: lived(new_student(name, options.identities, options.image_size, "none"))
        for name in options.students
    }
    auxiliary = {
        "feature_mean": torch.zeros(target.head.in_features),
        "students": [
            {
                "architecture": name,
                "classes": options.identities,
                "image_size": options.image_size,
                "weights": {key: value.clone() for key, value in student.state_dict().items()},
            }
            for name, student in students.items()
        ],
    }
    attack = LommaGMI(
        iterations=options.iterations,
        restarts=options.restarts,
        group=min(BATCH, options.identities),
        students=tuple(options.students),
        student_weights="none",
    )
    classifiers = [target, *(student.to(options.device) for student in students.values())]
    mean = auxiliary["feature_mean"].to(options.device)

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        features = target.features(images)
        logits = [target.head(features), *(student(images) for student in classifiers[1:])]
        losses = lomma_loss(
            logits, labels, features, mean, identity_loss="logit", feature_weight=attack.feature_weight
        )
        return losses.mean()

    return latent_loops(attack, loss, classifiers, target, auxiliary, options, run)


def latent_loops(
    attack: LatentSearch,
    loss: Loss,
    classifiers: Sequence[nn.Module],
    target: Classifier,
    auxiliary: dict[str, Any] | None,
    options: argparse.Namespace,
    run: Run,
) -> Loops:
    """Return both loops of a search over latents, and how many images an iteration works on in all."""
    prior = networks(GMIPrior(width=options.width).build(options.image_size), options.device)
    identities = torch.arange(options.identities)
    # An attack of no effect gives back its first latents, so that both start alike.
    still = replace(attack, iterations=1, learning_rate=1e-30, clip=1e30)
    starts = still.invert(target, prior, identities, run=run, auxiliary=auxiliary).latents.to(options.device)
    labels = identities.to(options.device)
    for classifier in classifiers:
        hearing(classifier, pictures(prior, options.device))
    if auxiliary is not None:  # the statistics are theirs now
        for saved, student in zip(auxiliary["students"], classifiers[1:], strict=True):
            saved["weights"] = {key: value.cpu().clone() for key, value in student.state_dict().items()}
    deaf = replace(attack, identity_weight=0.0)
    return {
        "published": lambda: published_gmi(loss, classifiers, prior, starts, labels, attack),
        "ours": lambda: attack.invert(target, prior, identities, run=run, auxiliary=auxiliary).latents,
        "deaf": lambda: deaf.invert(target, prior, identities, run=run, auxiliary=auxiliary).latents,
        "start": lambda: starts,
    }, options.restarts * options.identities


def kedmi_loops(target: Classifier, options: argparse.Namespace, run: Run) -> Loops:
    """Return KEDMI's two loops, and how many images an iteration of each works on."""
    count, device = options.identities, options.device
    prior = networks(KEDMIPrior(width=options.width).build(options.image_size, count), device)
    attack = KEDMI(
        iterations=options.iterations, restarts=options.restarts, group=min(BATCH, options.identities)
    )
    identities = torch.arange(count)
    hearing(target, pictures(prior, device))
    deaf, still = replace(attack, identity_weight=0.0), replace(attack, iterations=1, learning_rate=1e-30)
    return {
        "published": lambda: published_kedmi(target, prior, 0, identities.to(device), attack, device),
        "ours": lambda: attack.invert(target, prior, identities, run=run).latents,
        "deaf": lambda: deaf.invert(target, prior, identities, run=run).latents,
        "start": lambda: still.invert(target, prior, identities, run=run).latents,
    }, count


@torch.no_grad()
def pictures(prior: PriorNetworks, device: str) -> Tensor:
    """Return 64 images of the prior."""
    latents = torch.randn(64, prior.latent_size, generator=stream(0, "pictures"))
    images: Tensor = prior.generator(latents.to(device))
    return images


def networks(prior: PriorNetworks, device: str) -> PriorNetworks:
    """Return `prior`, lived in, on `device`, in eval mode."""
    lived(prior.generator)
    prior.generator.to(device).eval()
    prior.discriminator.to(device).eval()
    return prior


LOOPS = {"gmi": gmi_loops, "kedmi": kedmi_loops, "lomma": lomma_loops}


def main() -> None:
    """Measure and print a table for each attack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--attack", choices=[*LOOPS, "all"], default="all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--architecture", default="mobilenet_v2")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=32, help="of the prior; 64 is published")
    parser.add_argument("--identities", type=int, default=60, help="as many as the published batch")
    parser.add_argument("--students", nargs="*", default=["small_cnn"], help="of LOMMA, with random weights")
    parser.add_argument("--restarts", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=10, help="too few price the set-up")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=None)
    options = parser.parse_args()
    if options.identities % BATCH:
        parser.error(f"expected whole published batches of {BATCH} identities, got {options.identities}")
    for name in LOOPS if options.attack == "all" else [options.attack]:
        compare(name, options)


def loops_of(name: str, options: argparse.Namespace) -> Loops:
    """Return the loops of one attack, and how many images an iteration of each works on."""
    target = lived(
        build_classifier(options.architecture, options.identities, options.image_size, "imagenet", 0)
    )
    target.to(options.device).eval()
    torch.manual_seed(0)
    run = Run(seed=0, device=options.device, batch_size=options.batch_size)
    return LOOPS[name](target, options, run)


def check(name: str, options: argparse.Namespace, limit: float = 1e-8) -> str:
    """Return in words how far both loops agree in a few steps of float64 on a few identities."""
    few = argparse.Namespace(**vars(options) | {"identities": CHECKED, "iterations": CHECKED_STEPS})
    with float64():
        loops, _ = loops_of(name, few)
        return verify({loop: run().cpu() for loop, run in loops.items()}, limit)


def compare(name: str, options: argparse.Namespace) -> None:
    """Run both loops of one attack and print how long each takes."""
    agreement = check(name, options)
    loops, images = loops_of(name, options)
    timed = {loop: loops[loop] for loop in ("published", "ours")}
    with torch.backends.cudnn.flags(allow_tf32=False):  # which would hide other differences
        results = {loop: run().cpu() for loop, run in timed.items()}  # warms up, too
    # The mean: Adam turns the rounding of a gradient near 0 into a whole step, for a number here and there.
    difference = (results["published"] - results["ours"]).abs().mean().item()
    spent = seconds(timed, options.device, options.repeats)
    work = images * options.iterations
    print(
        f"{name} on {options.device}: {options.architecture}, {options.image_size} px, prior width "
        f"{options.width}, {images} images at once x {options.iterations} iterations"
    )
    print(f"{'loop':<12}{'seconds':>10}{'image-iterations/s':>22}")
    for loop, value in spent.items():
        print(f"{loop:<12}{value:>10.2f}{work / value:>22.1f}")
    ratio = spent["published"] / spent["ours"]
    print(f"ratio {ratio:.2f}; mean difference of a latent {difference:.1e}")
    print(f"{CHECKED_STEPS} steps of {CHECKED} identities in float64: {agreement}", flush=True)
    if not difference <= 1e-3:
        raise SystemExit("the results differ")


if __name__ == "__main__":
    main()

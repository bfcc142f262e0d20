"""PPA's search in image-iterations per second: ours against the loop as published, in one run, same result.

    python tests/benchmarks/ppa_throughput.py
    python tests/benchmarks/ppa_throughput.py --device cuda --architecture resnet18 --image-size 128 \\
        --width 64 --widest 512 --identities 25 --starts 8 --iterations 50
"""

import argparse
import copy
from collections.abc import Callable

import torch
from side_by_side import float64, hearing, lived, seconds, verify
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as transforms

from trainables.architectures.base import Classifier
from trainables.attacks.base import rows_at_once
from trainables.attacks.optim.descent import Journal
from trainables.attacks.ppa import PPA
from trainables.nn.crops import Crop, draw_crops
from trainables.nn.identity_losses import poincare
from trainables.nn.inference import inference_copy
from trainables.priors.base import PriorNetworks, inference_prior
from trainables.priors.stylegan2 import StyleGAN2Prior
from trainables.runtime.seeds import stream
from trainables.training.classifier import build_classifier

CHECKED_STEPS = 3  # of the check in float64
BATCH = 25  # images that the published loop works on at once


def published(
    target: Classifier, prior: PriorNetworks, starts: Tensor, labels: Tensor, crops: list[Crop], attack: PPA
) -> Tensor:
    """Return final styles (n, W) of the loop as published: batches of 25, the loss a batch mean, gradients of
    every weight computed and added up, the loss and the mean confidence read at every step."""
    networks = (target, prior.generator)
    for network in networks:
        network.eval().requires_grad_(True)
    size, finals = prior.generator.size, []
    for styles, own in zip(starts.split(BATCH), labels.split(BATCH), strict=True):
        styles = styles.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([styles], lr=attack.learning_rate, betas=(0.1, 0.1))
        for crop in crops:
            images = prior.generator.synthesis(styles)
            images = transforms.resized_crop(
                images, crop.top, crop.left, crop.height, crop.width, [size, size], antialias=True
            )
            logits = target(images)
            loss = poincare(logits, own).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                confidence = logits.softmax(1).gather(1, own[:, None]).mean()
            loss.item(), confidence.item()
        finals.append(styles.detach())
    for network in networks:
        network.zero_grad(set_to_none=True)
    return torch.cat(finals)


def ours(
    target: Classifier, prior: PriorNetworks, starts: Tensor, labels: Tensor, crops: list[Crop], attack: PPA
) -> Tensor:
    """Return final styles (n, W) of our loop, lean copies made anew included."""
    device = starts.device.type
    target, prior = inference_copy(target, device), inference_prior(prior, device)
    noise = iter(lambda: torch.empty(0), None)
    finals = [
        attack.descend(target, prior, part, own, crops, prior.generator.size, noise, Journal())[0]
        for part, own in zip(
            starts.split(rows_at_once(device)), labels.split(rows_at_once(device)), strict=True
        )
    ]
    return torch.cat(finals)


def loops_of(options: argparse.Namespace) -> tuple[dict[str, Callable[[], Tensor]], int]:
    """Return both loops, ours without the target and one that does nothing, and how many images they move."""
    device, size = options.device, options.image_size
    target = lived(build_classifier(options.architecture, options.identities, size, "imagenet", 0)).to(device)
    torch.manual_seed(0)
    prior = StyleGAN2Prior(width=options.width, widest=options.widest).build(size)
    for network in (target, prior.generator, prior.discriminator):
        network.to(device).eval()
    attack = PPA(iterations=options.iterations, group=BATCH)
    labels = torch.arange(options.identities).repeat(options.starts).to(device)
    starts = torch.randn(len(labels), prior.latent_size, generator=stream(0, "styles")).to(device)
    crops = draw_crops(options.iterations, size, attack.crop, (1.0, 1.0), stream(0, "crops"))
    with torch.no_grad():
        hearing(target, prior.generator.view(prior.generator.synthesis(starts)))
    deaf = copy.deepcopy(target)
    nn.init.zeros_(deaf.head.weight)
    arguments = prior, starts, labels, crops, attack
    return {
        "published": lambda: published(target, *arguments),
        "ours": lambda: ours(target, *arguments),
        "deaf": lambda: ours(deaf, *arguments),
        "start": lambda: starts,
    }, len(labels)


def check(options: argparse.Namespace, limit: float = 1e-8) -> str:
    """Return in words how far both loops agree in a few steps of float64: a batch as the published one."""
    few = {"identities": 5, "starts": BATCH // 5, "iterations": CHECKED_STEPS}
    with float64():
        loops, _ = loops_of(argparse.Namespace(**vars(options) | few))
        return verify({name: loop().cpu() for name, loop in loops.items()}, limit)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--architecture", default="mobilenet_v2")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=16, help="of the prior at full size")
    parser.add_argument("--widest", type=int, default=64, help="of the prior at most")
    parser.add_argument("--identities", type=int, default=10)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()

    agreement = check(options)
    loops, work = loops_of(options)
    work *= options.iterations
    device, size = options.device, options.image_size
    loops = {name: loops[name] for name in ("published", "ours")}
    results = {name: loop().cpu() for name, loop in loops.items()}  # warms up, too
    difference = (results["published"] - results["ours"]).abs().flatten()
    spent = seconds(loops, device, options.repeats)
    print(
        f"PPA on {device}: {options.architecture}, {size} px, prior {options.width}-{options.widest} wide, "
        f"{options.starts} starts x {options.identities} identities x {options.iterations} iterations"
    )
    print(f"{'loop':<12}{'seconds':>10}{'image-iterations/s':>22}")
    for name, value in spent.items():
        print(f"{name:<12}{value:>10.2f}{work / value:>22.1f}")
    typical, largest = difference.quantile(0.99).item(), difference.max().item()
    print(
        f"ratio {spent['published'] / spent['ours']:.2f}; difference of 99 % of the styles' numbers at most "
        f"{typical:.1e}, of all {largest:.1e}"
    )
    print(f"{CHECKED_STEPS} steps in float64: {agreement}")
    if not typical <= 1e-3:  # a number whose gradient is about 0 may go either way: Adam looks at its sign
        raise SystemExit("the results differ")


if __name__ == "__main__":
    main()

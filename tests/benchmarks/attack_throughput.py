"""GMI in image-iterations per second: ours against the loop as published, in one run, with the same result.

    python tests/benchmarks/attack_throughput.py
    python tests/benchmarks/attack_throughput.py --device cuda --identities 60 --restarts 5 --iterations 50 \\
        --architecture vgg16_bn --width 64
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.architectures.base import Classifier
from trainables.attacks.gmi import GMI
from trainables.priors.base import PriorNetworks
from trainables.priors.gmi import GMIPrior
from trainables.progress import silent
from trainables.target import build_classifier


def published(
    target: Classifier, prior: PriorNetworks, starts: Tensor, identities: Tensor, attack: GMI
) -> Tensor:
    """Return final latents (R, N, Z) of the loop as published: a restart after the other, batch means,
    gradients of every weight computed and added up, losses read at every step."""
    networks = (target, prior.generator, prior.discriminator)
    for network in networks:
        network.eval().requires_grad_(True)
    finals = []
    for start in starts:
        z = start.clone().requires_grad_(True)
        velocity = torch.zeros_like(start)
        for _ in range(attack.iterations):
            images = prior.generator(z)
            logits = target(images)
            if z.grad is not None:
                z.grad.zero_()
            prior_loss = -prior.discriminator(images).mean()
            identity_loss = functional.cross_entropy(logits, identities)
            total = prior_loss + attack.identity_weight * identity_loss
            total.backward()
            previous = velocity.clone()
            velocity = attack.momentum * velocity - attack.learning_rate * z.grad
            z = z.detach() + (-attack.momentum * previous + (1 + attack.momentum) * velocity)
            z = z.clamp(-attack.clip, attack.clip).requires_grad_(True)
            prior_loss.item(), identity_loss.item()
        finals.append(z.detach())
    for network in networks:
        network.zero_grad(set_to_none=True)
    return torch.stack(finals)


def seconds(loops: dict[str, Callable[[], Tensor]], device: str, repeats: int) -> dict[str, float]:
    """Return the least time of `repeats` runs of each loop, in turns, so that a busy machine hits all alike.

    On a CPU it is the process's own time, which other processes disturb less.
    """
    best = dict.fromkeys(loops, float("inf"))
    for _ in range(repeats):
        for name, loop in loops.items():
            if device == "cpu":
                begin = time.process_time()
                loop()
                spent = time.process_time() - begin
            else:
                torch.cuda.synchronize()
                begin = time.perf_counter()
                loop()
                torch.cuda.synchronize()
                spent = time.perf_counter() - begin
            best[name] = min(best[name], spent)
    return best


def lived(network: nn.Module) -> nn.Module:
    """Give batch norms statistics that are not those of a fresh network."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
    return network


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--architecture", default="mobilenet_v2")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=32, help="of the prior; 64 is published")
    parser.add_argument("--identities", type=int, default=30, help="the published batch is 60")
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=None)
    options = parser.parse_args()

    count, device = options.identities, options.device
    target = lived(build_classifier(options.architecture, count, options.image_size, "imagenet", 0))
    torch.manual_seed(0)
    prior = GMIPrior(width=options.width).build(options.image_size)
    lived(prior.generator)
    for network in (target, prior.generator, prior.discriminator):
        network.to(device).eval()
    identities = torch.arange(count)
    attack = GMI(iterations=options.iterations, restarts=options.restarts, group=count)
    arguments = {"seed": 0, "device": device, "report": silent, "batch_size": options.batch_size}
    # An attack of no effect gives back its first latents, so that both start alike.
    still = GMI(iterations=1, restarts=options.restarts, learning_rate=1e-30, clip=1e30)
    starts = still.invert(target, prior, identities, **arguments).latents.to(device)

    loops = {
        "published": lambda: published(target, prior, starts, identities.to(device), attack),
        "ours": lambda: attack.invert(target, prior, identities, **arguments).latents,
    }
    results = {name: loop().cpu() for name, loop in loops.items()}  # warms up, too
    difference = (results["published"] - results["ours"]).abs().max().item()
    spent = seconds(loops, device, options.repeats)
    work = options.restarts * count * options.iterations
    print(
        f"GMI on {device}: {options.architecture}, {options.image_size} px, prior width {options.width}, "
        f"{options.restarts} restarts x {count} identities x {options.iterations} iterations"
    )
    print(f"{'loop':<12}{'seconds':>10}{'image-iterations/s':>22}")
    for name, value in spent.items():
        print(f"{name:<12}{value:>10.2f}{work / value:>22.1f}")
    ratio = spent["published"] / spent["ours"]
    print(f"ratio {ratio:.2f}; largest difference of a latent {difference:.1e}")
    if difference > 1e-3:
        raise SystemExit("the results differ")


if __name__ == "__main__":
    main()

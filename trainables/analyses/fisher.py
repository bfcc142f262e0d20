"""Squared gradients of single samples, summed over a parameter: what Fisher information is the mean of.

A batch's mean gradient says nothing of them, and one backward pass a sample is slow. For the layers that hold
nearly all weights the squared norm follows from what a layer received and from the gradient of what it gave,
and one backward pass of the batch gives both for every sample: for a linear map ``|g x^T|^2``, summed over
places p as ``sum_pq (g_p . g_q)(x_p . x_q)`` where that is less work than the gradient itself (the "ghost
norm"; Bu et al., "Scalable and Efficient Training of Large Convolutional Neural Networks with Differential
Privacy", NeurIPS 2022). Every other parameter goes through ``torch.func``: ``vmap`` over ``grad``.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

Forward = Callable[..., Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
Norms = dict[str, dict[str, Tensor]]

_UNFOLDED = 2**18  # numbers held at a time: more leave a core's cache
_GRADIENTS = 2**23


def squared_gradient_norms(
    network: nn.Module,
    losses: Mapping[str, Loss],
    inputs: Sequence[Tensor],
    goals: Tensor,
    *,
    forward: Callable[[nn.Module], Forward] = lambda network: network,
    batch_size: int = 32,
) -> Norms:
    """Return ``{loss: {parameter: (N,)}}``: the sum of squares of each sample's gradient, float64 on the CPU.

    network: in eval mode, so that a sample's outputs are its own; parameters are looked at whether they are
    frozen or not, and left alone. losses: from outputs (B, ...) and goals (B, ...) to numbers (B,).
    inputs: tensors (N, ...), floating point the first. goals: (N, ...). forward: from the network to what is
    called with the inputs, its own forward unless given.
    """
    norms: dict[str, dict[str, list[Tensor]]] = {loss: {} for loss in losses}
    unreached: set[str] | None = None
    for index in torch.split(torch.arange(len(goals)), batch_size):
        part, goal = [each[index] for each in inputs], goals[index]
        known = _known(network, losses, part, goal, forward)
        rest = [name for name, _ in network.named_parameters() if name not in next(iter(known.values()))]
        if rest and unreached is None:
            unreached = _unreached(network, part, rest, forward)
        zeros = dict.fromkeys(unreached or (), torch.zeros(len(goal)))
        rest = [name for name in rest if name not in zeros]
        other = gradients_by_vmap(network, losses, part, goal, rest, forward=forward) if rest else {}
        for loss in losses:
            for name, values in {**known[loss], **zeros, **other.get(loss, {})}.items():
                norms[loss].setdefault(name, []).append(values.double().cpu())
    order = [name for name, _ in network.named_parameters()]
    return {loss: {name: torch.cat(parts[name]) for name in order} for loss, parts in norms.items()}


def gradients_by_vmap(
    network: nn.Module,
    losses: Mapping[str, Loss],
    inputs: Sequence[Tensor],
    goals: Tensor,
    names: Sequence[str],
    *,
    forward: Callable[[nn.Module], Forward] = lambda network: network,
) -> Norms:
    """Return the same for the parameters `names` of any kind: gradients are made, then squared."""
    parameters = {name: p.detach() for name, p in network.named_parameters()}
    chosen = {name: parameters[name] for name in names}
    caller = _Caller(network, forward)
    rest = {f"network.{name}": p for name, p in parameters.items() if name not in chosen}

    def sample_loss(values: dict[str, Tensor], loss: Loss, goal: Tensor, *sample: Tensor) -> Tensor:
        state = {**rest, **{f"network.{name}": value for name, value in values.items()}}
        outputs = functional_call(caller, state, tuple(each.unsqueeze(0) for each in sample))
        return loss(outputs, goal.unsqueeze(0))[0]

    size = max(1, _GRADIENTS // max(1, sum(p.numel() for p in chosen.values())))
    norms: Norms = {}
    for name, loss in losses.items():

        def gradients(goal: Tensor, *sample: Tensor, loss: Loss = loss) -> Any:
            return grad(sample_loss)(chosen, loss, goal, *sample)

        with sdpa_kernel(SDPBackend.MATH):  # vmap goes through the others sample by sample
            made = vmap(gradients, chunk_size=size)(goals, *(each.detach() for each in inputs))
        norms[name] = {key: value.flatten(1).square().sum(1) for key, value in made.items()}
    return norms


class _Caller(nn.Module):
    """A network called by something else than its forward, for `functional_call`."""

    def __init__(self, network: nn.Module, forward: Callable[[nn.Module], Forward]) -> None:
        super().__init__()
        self.network, self._forward = network, forward

    def forward(self, *inputs: Tensor) -> Tensor:
        return self._forward(self.network)(*inputs)


def _known(
    network: nn.Module,
    losses: Mapping[str, Loss],
    inputs: Sequence[Tensor],
    goals: Tensor,
    forward: Callable[[nn.Module], Forward],
) -> Norms:
    """Return the norms of the parameters of layers in `_RULES` that run once and share none, by one backward
    pass for each loss over one forward pass."""
    norms: Norms = {loss: {} for loss in losses}
    runs: Counter[str] = Counter()
    uses = Counter(
        id(p) for module in network.modules() for p in module._parameters.values() if p is not None
    )
    current = [""]
    watched = []
    for name, module in network.named_modules(remove_duplicate=False):
        rule = _RULES.get(type(module))
        own = [p for p in module._parameters.values() if p is not None]
        if rule is None or not own or any(uses[id(p)] > 1 for p in own) or not _plain(module):
            continue

        def hook(
            module: nn.Module, received: tuple[Tensor, ...], gave: Tensor, name: str = name, rule: Any = rule
        ) -> None:
            runs[name] += 1
            x, version = received[0].detach(), received[0]._version

            def note(gradient: Tensor) -> None:
                if x._version != version:
                    raise RuntimeError(f"the input of layer '{name}' was changed in place")
                for parameter, values in rule(module, x, gradient.detach()).items():
                    norms[current[0]][f"{name}.{parameter}" if name else parameter] = values

            gave.register_hook(note)  # type: ignore[no-untyped-call]

        watched.append(module.register_forward_hook(hook))
    try:
        first = inputs[0].detach().clone().requires_grad_(True)  # so that every layer is in the graph
        with torch.enable_grad():
            outputs = forward(network)(first, *inputs[1:])
            for number, (loss, function) in enumerate(losses.items(), 1):
                current[0] = loss
                # Towards the input alone: the weights' own gradients are not made.
                torch.autograd.grad(
                    function(outputs, goals).sum(),
                    first,
                    retain_graph=number < len(losses),
                    allow_unused=True,
                )
    finally:
        for handle in watched:
            handle.remove()
    parameters = dict(network.named_parameters())
    reached = set.union(*(set(by_name) for by_name in norms.values()))
    zeros = torch.zeros(len(goals), dtype=torch.float64)
    several = {name for name, count in runs.items() if count > 1}
    for by_name in norms.values():
        for parameter in [*parameters]:
            layer = parameter.rpartition(".")[0]
            if layer in several:
                by_name.pop(parameter, None)
            elif parameter in reached:  # by another loss: this one does not depend on the layer
                by_name.setdefault(parameter, zeros)
    return norms


def _unreached(
    network: nn.Module,
    inputs: Sequence[Tensor],
    names: Sequence[str],
    forward: Callable[[nn.Module], Forward],
) -> set[str]:
    """Return those of the parameters `names` that no output depends on, as features on a head."""
    parameters = [network.get_parameter(name) for name in names]
    needed = [parameter.requires_grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.requires_grad_(True)
        with torch.enable_grad():
            outputs = forward(network)(*inputs)
            gradients = (
                torch.autograd.grad(outputs.sum(), parameters, allow_unused=True)
                if outputs.requires_grad
                else [None] * len(names)
            )
    finally:
        for parameter, before in zip(parameters, needed, strict=True):
            parameter.requires_grad_(before)
    return {name for name, gradient in zip(names, gradients, strict=True) if gradient is None}


def _plain(module: nn.Module) -> bool:
    """Return whether the rule of its type describes `module`."""
    if isinstance(module, nn.Conv2d):
        return module.padding_mode == "zeros" and not isinstance(module.padding, str)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return not module.training and module.running_mean is not None
    return True


def _linear(module: nn.Linear, x: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    places = (len(x), -1)
    x, gradient = (
        each.reshape(*places, each.shape[-1]).transpose(1, 2).unsqueeze(1) for each in (x, gradient)
    )
    norms = {"weight": _outer(x, gradient)}
    if module.bias is not None:
        norms["bias"] = gradient.sum(3).flatten(1).square().sum(1)
    return norms


def _convolution(module: nn.Conv2d, x: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    gradient = gradient.contiguous()
    small = _is_small(module, x, gradient)
    if not small and x.device.type == "cpu":
        return _one_by_one(module, x, gradient)
    norms = {"weight": (_by_places if small else _unfolded)(module, x, gradient)}
    if module.bias is not None:
        norms["bias"] = gradient.flatten(2).sum(2).square().sum(1)
    return norms


def _is_small(module: nn.Conv2d, x: Tensor, gradient: Tensor) -> bool:
    """Return whether pairs of places are less work than the gradients of all weights."""
    padding: Any = module.padding
    seen = (x.shape[2] + 2 * padding[0]) * (x.shape[3] + 2 * padding[1])
    given, channels = gradient[0, 0].numel(), gradient.shape[1]
    offsets = module.weight[0, 0].numel()
    pairs = seen**2 * x.shape[1] + given**2 * (channels + offsets * module.groups)
    return bool(pairs < given * channels * module.weight[0].numel())


def _by_places(module: nn.Conv2d, x: Tensor, gradient: Tensor) -> Tensor:
    """Return the norms from products of places, without unfolding.

    The product of what the kernel saw at two places p and q is a sum over its own offsets o of products of
    pixels, ``sum_o x_{p+o} . x_{q+o}``: all pixels are multiplied once, then shifted.
    """
    stride: Any = module.stride
    padding: Any = module.padding
    dilation: Any = module.dilation
    count, groups = len(x), module.groups
    x = functional.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    wide, high = x.shape[2:], gradient.shape[2:]
    x, gradient = (each.reshape(count, groups, -1, each[0, 0].numel()) for each in (x, gradient))
    pixels = (x.transpose(2, 3) @ x).view(count, groups, *wide, *wide)
    spans = [range(size) for size in module.weight.shape[2:]]
    received: Tensor | None = None
    for offsets in itertools.product(*spans):
        place = tuple(
            slice(offset * step, offset * step + (size - 1) * pace + 1, pace)
            for offset, step, size, pace in zip(offsets, dilation, high, stride, strict=True)
        )
        shifted = pixels[:, :, *place, *place]
        received = shifted.clone() if received is None else received.add_(shifted)
    assert received is not None
    given = (gradient.transpose(2, 3) @ gradient).view_as(received)
    return given.mul_(received).flatten(1).sum(1).clamp_(min=0)


def _unfolded(module: nn.Conv2d, x: Tensor, gradient: Tensor) -> Tensor:
    """Return the norms from gradients made of unfolded inputs, some samples at a time."""
    kernel: Any = module.kernel_size
    padding: Any = module.padding
    places = gradient[0, 0].numel()
    size = max(1, _UNFOLDED // (x.shape[1] * math.prod(kernel) * places))
    parts = []
    for inputs, given in zip(torch.split(x, size), torch.split(gradient, size), strict=True):
        columns = functional.unfold(inputs.contiguous(), kernel, module.dilation, padding, module.stride)
        received = columns.reshape(len(inputs), module.groups, -1, places)
        given = given.reshape(len(given), module.groups, -1, places)
        parts.append((given @ received.transpose(2, 3)).flatten(1).square().sum(1))
    return torch.cat(parts)


def _one_by_one(module: nn.Conv2d, x: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    """Return the norms from gradients that the CPU's library makes, one by one: it unfolds in its cache."""
    stride: Any = module.stride
    padding: Any = module.padding
    dilation: Any = module.dilation
    has_bias = module.bias is not None
    rows = []
    for inputs, given in zip(torch.split(x, 1), torch.split(gradient, 1), strict=True):
        _, weight, bias = torch.ops.aten.convolution_backward(
            given,
            inputs,
            module.weight.detach(),
            [len(module.weight)] if has_bias else None,
            stride,
            padding,
            dilation,
            False,
            [0, 0],
            module.groups,
            [False, True, has_bias],
        )
        rows.append([part.square().sum() for part in (weight, bias) if part is not None])
    return dict(zip(("weight", "bias"), map(torch.stack, zip(*rows, strict=True)), strict=False))


def _outer(x: Tensor, gradient: Tensor) -> Tensor:
    """Return |g x^T|^2 of x (B, G, D, P) and gradients (B, G, C, P), summed over the G groups, (B,)."""
    depth, places, channels = x.shape[2], x.shape[3], gradient.shape[2]
    if places * (depth + channels) < depth * channels:
        products = (x.transpose(2, 3) @ x).mul_(gradient.transpose(2, 3) @ gradient)
        return products.flatten(1).sum(1).clamp_(min=0)
    return (gradient @ x.transpose(2, 3)).flatten(1).square().sum(1)


def _normalised(module: Any, x: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    shape = (1, -1, *(1,) * (x.ndim - 2))
    scale = (module.running_var + module.eps).rsqrt().view(shape)
    rows = (x - module.running_mean.view(shape)) * scale
    count, channels = x.shape[:2]
    summed = (each.reshape(count, channels, -1).sum(2) for each in (gradient * rows, gradient))
    return dict(zip(("weight", "bias"), (each.square().sum(1) for each in summed), strict=True))


_RULES: dict[type[nn.Module], Callable[..., dict[str, Tensor]]] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.BatchNorm1d: _normalised,
    nn.BatchNorm2d: _normalised,
}

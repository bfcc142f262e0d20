"""Any network cut into a chain: its operations in the order in which they run, apart where one tensor passes.

A network is traced (torch.fx). A cut lies where a single value is still needed afterwards, so that no
residual block and no group of parallel branches is ever halved, in whatever order its layers were registered.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

Segment = list[fx.Node]

MODES = (functional.batch_norm, torch.batch_norm)  # traced, they would stay in eval mode
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


class CuttingError(ValueError):
    """Why a network cannot be cut; the caller says which network that is."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A network in parts: neck and head after the stages give the logits.

    stages: ordered name -> part; a name is the dotted one of the layers in it, with _ for a dot. The weights
        of a part have their dotted names of the network.
    head: dotted name of the last layer, an ``nn.Linear``, which is no part of the neck.
    """

    stages: dict[str, nn.Module]
    neck: nn.Module
    head: str


def cut(network: nn.Module) -> Chain:
    """Return the parts of `network`, which shares its layers with them and is left in eval mode.

    Layers with weights start a stage each, but for norms, activations and bare weights, which belong to the
    layer before them, and for what lies inside one block: a module of a class of its own within one of the
    network's own parts. In-place operations are made plain ones: a stage must not change what the one before
    it gave.
    Raises `CuttingError` if the network cannot be traced, has no linear layer at its end, or is one block.
    """
    network.eval()
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
    body, head = _body_and_head(network, _traced(network))
    segments, neck = _segments(network, body)
    names = _names([[_layer(node) for node in segment if _weighted(network, node)] for segment in segments])
    parts = [_part(network, segment) for segment in segments]
    return Chain(
        stages=dict(zip(names, parts, strict=True)),
        neck=_part(network, neck) if neck else nn.Identity(),
        head=head,
    )


class _Tracer(fx.Tracer):
    """Looks into sequences at any depth and into the network's own parts, not into the blocks in them."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=())
        self.thread = threading.get_ident()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        own_part = module_qualified_name.count(".") <= 1  # of the wrapper's only child
        return not (_is_sequence(m) or (own_part and not _is_layer(m)))

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if threading.get_ident() != self.thread:  # torch.fx reroutes the modules of all threads
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)


class _Wrapper(nn.Module):
    """Calls the network on images alone, so that its other arguments are at their defaults."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Any) -> Any:
        """Return the network's output."""
        return self.network(images)


def _is_layer(module: nn.Module) -> bool:
    """Return whether the module is one of torch's layers, or a subclass of one."""
    plain = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)
    return any(kind.__module__.startswith("torch.nn.") and kind not in plain for kind in type(module).__mro__)


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, NORMS) or type(module).__name__.lower().startswith("rmsnorm")


def _is_sequence(module: nn.Module) -> bool:
    return type(module).forward is nn.Sequential.forward


def _traced(network: nn.Module) -> fx.Graph:
    try:
        graph = _Tracer().trace(_Wrapper(network))
    except Exception as error:  # whatever its forward does with something that is no tensor
        raise CuttingError(f"its forward cannot be traced: {' '.join(str(error).split())[:200]}") from error
    if any(node.target in MODES for node in graph.nodes):
        raise CuttingError("it has a batch norm that is no layer of its own")
    graph.eliminate_dead_code(_is_end)  # also what only checks a shape
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            node.target = node.target.removeprefix("network.")
        if node.kwargs.get("inplace") is True:
            node.kwargs = {**node.kwargs, "inplace": False}
    return graph


def _is_end(node: fx.Node) -> bool:
    return node.op in ("placeholder", "output")


def _body_and_head(network: nn.Module, graph: fx.Graph) -> tuple[list[fx.Node], str]:
    nodes = list(graph.nodes)
    last = nodes[-1].args[0]
    while isinstance(last, fx.Node) and last.op == "call_module" and _is_identity(network, last):
        last = last.args[0]
    if not isinstance(last, fx.Node) or last.op != "call_module" or not _is_linear(network, last):
        raise CuttingError("its last layer is not a linear one")
    inputs = last.args[0]
    if not isinstance(inputs, fx.Node) or [user for user in inputs.users if user is not last]:
        raise CuttingError("more than one layer uses the penultimate feature")
    return nodes[: nodes.index(last)], str(last.target)


def _is_identity(network: nn.Module, node: fx.Node) -> bool:
    return isinstance(network.get_submodule(str(node.target)), nn.Identity)


def _is_linear(network: nn.Module, node: fx.Node) -> bool:
    return isinstance(network.get_submodule(str(node.target)), nn.Linear)


def _segments(network: nn.Module, body: list[fx.Node]) -> tuple[list[Segment], Segment]:
    """Return the nodes of each stage, and those of the neck: what follows the last weights."""
    cuts = [number for number, single in enumerate(_single(body)) if single]  # after this node
    weighted = [number for number, node in enumerate(body) if _weighted(network, node)]
    if not weighted:
        raise CuttingError("no layer before its last has weights")
    ends: list[int] = []
    for before, number in pairwise(weighted):
        between = [place for place in cuts if before <= place < number]
        if between and _starts_stage(network, body[number]):
            ends.append(between[-1])
    after = [place for place in cuts if place >= weighted[-1]]
    last = after[0] if after else len(body) - 1
    if not ends:
        raise CuttingError("nowhere does a single tensor pass from one layer to the next")
    starts = [0, *(end + 1 for end in ends)]
    segments = [body[a : b + 1] for a, b in zip(starts, [*ends, last], strict=True)]
    return segments, body[last + 1 :]


def _single(body: list[fx.Node]) -> Iterator[bool]:
    """Yield for each node whether its value alone is needed after it; weights can be had anywhere."""
    place = {node: number for number, node in enumerate(body)}
    last_use = [max((place.get(user, len(body)) for user in node.users), default=-1) for node in body]
    for number, node in enumerate(body):
        alive = [n for n in range(number + 1) if last_use[n] > number and body[n].op != "get_attr"]
        yield node.op != "placeholder" and alive == [number]


def _weighted(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "get_attr":
        return True
    if node.op != "call_module":
        return False
    module = network.get_submodule(str(node.target))
    return next(module.parameters(), next(module.buffers(), None)) is not None


def _starts_stage(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "get_attr":  # a class token, say, which nothing could run before
        return False
    module = network.get_submodule(str(node.target))
    return not _is_norm(module) and not isinstance(module, nn.PReLU)


def _layer(node: fx.Node) -> str:
    return str(node.target)


def _names(layers: list[list[str]]) -> list[str]:
    """Return a name for each stage: the part that holds its layers and no other's, else its first layer."""
    names = []
    for number, own in enumerate(layers):
        levels = zip(*(layer.split(".") for layer in own), strict=False)
        shared = ".".join(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))
        others = [layer for place, other in enumerate(layers) if place != number for layer in other]
        alone = shared and not any(layer == shared or layer.startswith(f"{shared}.") for layer in others)
        names.append((shared if alone else own[0]).replace(".", "_"))
    return [
        name if names.count(name) == 1 else f"{name}_{names[:n].count(name)}" for n, name in enumerate(names)
    ]


def _part(network: nn.Module, segment: Segment) -> nn.Module:
    """Return a module that does what `segment` does, with the layers of `network`."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    inside = set(segment)
    outer = [node for node in segment if node.op == "placeholder"]
    entry = graph.placeholder("x")
    copies.update(dict.fromkeys(outer, entry))

    def copied(node: fx.Node) -> fx.Node:
        if node not in copies:
            # from before the segment: weights, which are read again, or the one tensor that passes
            copies[node] = graph.node_copy(node, copied) if node in inside or node.op == "get_attr" else entry
        return copies[node]

    for node in segment:
        if node.op != "get_attr":  # read where they are needed
            copied(node)
    graph.output(copies[segment[-1]])
    return fx.GraphModule(network, graph)

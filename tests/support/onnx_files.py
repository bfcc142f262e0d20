"""Small ONNX files that tests write."""

from collections.abc import Sequence
from pathlib import Path


def write_embedder(
    path: Path,
    shape: Sequence[int | str],
    *,
    kind: int | None = None,
    inputs: int = 1,
    output: str = "embedding",
    axes: Sequence[int] = (0, 1, 2, 3),
) -> str:
    """Write a network that embeds an image as its pixels; returns its path.

    shape: of the input, names for what is open. kind: of its numbers, float by default. axes: the order in
    which the pixels are given. output: "embedding", or what is none: "number" or "batch of one".
    """
    from onnx import TensorProto, helper

    kind = kind or TensorProto.FLOAT
    given = [helper.make_tensor_value_info(f"in{n}", kind, shape) for n in range(inputs)]
    turned = [helper.make_node("Transpose", ["in0"], ["turned"], perm=list(axes))] if len(shape) == 4 else []
    source = "turned" if turned else "in0"
    last = {
        "embedding": helper.make_node("Flatten", [source], ["out"], axis=1),
        "number": helper.make_node("ReduceMean", [source], ["out"], keepdims=0),
        "batch of one": helper.make_node("Flatten", [source], ["out"], axis=0),
    }[output]
    told = [helper.make_tensor_value_info("out", kind, None)]
    graph = helper.make_graph([*turned, last], "embedder", given, told)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return str(path)

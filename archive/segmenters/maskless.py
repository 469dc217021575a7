"""A YOLO-seg network without what only its masks need: a quarter of the work of each look at a photo.

Regions of the shipped network are boxes. ONNX Runtime computes what nobody asks for, too, so it is cut off here; the
numbers of what stays are the same to the bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ROWS, PROTOTYPES = "output0", "output1"
"""The outputs of a YOLO-seg graph, as ultralytics names them: boxes with scores and coefficients of masks, and what the
coefficients are of. Whatever else a graph gives stays."""


def without_masks(weights: Path) -> bytes:
    """The graph whose rows are boxes and scores alone, and which gives no prototypes.

    Raises:
        ValueError: its rows are not joined of boxes, scores and coefficients.
    """
    import onnx

    model = onnx.load(weights)
    graph = model.graph
    joined = next((node for node in graph.node if ROWS in node.output), None)
    if joined is None or joined.op_type != "Concat" or len(joined.input) != 3:
        raise ValueError(f"the rows of {weights} are not boxes, scores and coefficients of masks")
    del joined.input[2]
    _keep(graph.output, [output for output in graph.output if output.name != PROTOTYPES])
    needed = {output.name for output in graph.output}
    nodes = []
    for node in reversed(graph.node):  # a graph's nodes stand after those that they need
        if needed & set(node.output):
            nodes.append(node)
            needed |= set(node.input)
    _keep(graph.node, nodes[::-1])
    _keep(graph.initializer, [one for one in graph.initializer if one.name in needed])
    content: bytes = model.SerializeToString()
    return content


def _keep(repeated: Any, those: list[Any]) -> None:  # noqa: ANN401  (protobuf has no types worth the name)
    del repeated[:]
    repeated.extend(those)

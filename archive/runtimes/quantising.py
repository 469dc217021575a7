"""Graphs in eight bits.

Weights keep seven bits of their eight: products of eight overflow on processors without VNNI, so the same graph would
give other numbers there. It costs a ten-thousandth of a cosine.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

LAST_OF_HEAD = re.compile(r"/dfl/|/cv[234]\.\d+/cv[234]\.\d+\.2/Conv")
"""A YOLO head's last layers, by their names: edges in pixels and chances from 0 to 1, which eight bits cannot share."""


def quantise_products(exact: Path, target: Path) -> None:
    """A transformer: products with weights in eight bits, what is multiplied being measured at each run."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(exact),
        str(target),
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
    )


def quantise_convolutions(exact: Path, target: Path, inputs: Iterable[dict[str, NDArray[Any]]]) -> None:
    """A detector: convolutions in eight bits, what goes into them being measured on `inputs` once."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Shown(CalibrationDataReader):  # type: ignore[misc]  # its base is untyped
        def __init__(self) -> None:
            self._rest = iter(inputs)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return next(self._rest, None)

    shaped = target.with_suffix(".shaped")
    quant_pre_process(str(exact), str(shaped), skip_symbolic_shape=True)
    nodes = [node.name for node in onnx.load(str(shaped)).graph.node if node.op_type == "Conv"]
    quantize_static(
        str(shaped),
        str(target),
        Shown(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        nodes_to_exclude=[name for name in nodes if LAST_OF_HEAD.search(name)],
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    shaped.unlink()

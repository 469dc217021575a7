"""Graphs at work: one thread for each photo, on a GPU where ONNX Runtime has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ON_GPU = ("CUDAExecutionProvider", "ROCMExecutionProvider")
"""Providers that are worth a graph's way to another device, the best first."""

ON_CPU = "CPUExecutionProvider"


def session(graph: Path) -> Any:  # noqa: ANN401  (onnxruntime has no types worth the name)
    """A graph, ready to run; photos are looked at side by side, so each run has one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    chosen = providers(onnxruntime.get_available_providers())
    return onnxruntime.InferenceSession(str(graph), options, providers=chosen)


def providers(available: Sequence[str]) -> list[str]:
    """Where a graph runs, of what ONNX Runtime offers: on a GPU, and on the CPU what that one cannot do."""
    return [*(name for name in ON_GPU if name in available), ON_CPU]

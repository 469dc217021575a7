"""Runtimes: the networks of a pair as graphs for ONNX Runtime, and which of them this machine runs fastest."""

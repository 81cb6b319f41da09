"""From traces to a model: heuristic labels, fine-tuning, calibration, export and evaluation."""

import classifier  # noqa: F401 - turns off ONNX Runtime's telemetry, before a module here imports it

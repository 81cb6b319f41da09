"""From traces to a model: heuristic labels, fine-tuning, calibration, export and evaluation."""

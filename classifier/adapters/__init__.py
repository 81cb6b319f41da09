"""Thin adapters between the scorer and data engines; only these may import their engine."""

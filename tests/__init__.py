"""Tests of branching-classifier."""

"""Measurements that the documentation quotes; each says on top how it is run."""

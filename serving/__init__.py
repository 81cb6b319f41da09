"""The scoring service around the classifier."""

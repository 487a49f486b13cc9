"""The test suite: one folder per layer, one file per module."""

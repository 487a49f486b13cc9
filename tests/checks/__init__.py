"""Tests of the repository's own checks: each has a passing control and failing examples."""

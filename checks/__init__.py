"""The repository's own checks: `python -m checks` runs them all, one line each.

Every check is a function from the root of a source tree to an `Outcome`; the table of them is in
`checks/table.py`, and each one's rule is stated in its module.
"""

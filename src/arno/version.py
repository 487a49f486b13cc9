"""The package's version: the one place it is written. The build and the checks read it here."""

VERSION = "0.1.0"

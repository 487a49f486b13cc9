"""Configurations made from a text, as `arno serve` makes them from a file."""

from textwrap import dedent

from arno.gateway.config.load import Option, load
from arno.gateway.config.problems import ConfigError
from arno.gateway.config.resolve import resolve
from arno.providers import load_catalogue

SHIPPED = load_catalogue()
CREATED = 1_773_273_600
CLIENT = "client-key-0123456789"
UPSTREAM = "upstream-key-0123456789"


def configured(folder, text, environ=None, options=(), **more):
    """The configuration of arno.toml in a folder with this text."""
    path = folder / "arno.toml"
    path.write_text(dedent(text), "utf-8", newline="")
    loaded = load(path, tuple(Option(path, name, value) for path, name, value in options))
    return resolve(loaded, environ or {}, SHIPPED, created=CREATED, **more)


def problems(folder, text, environ=None, options=(), **more):
    """Its problems, one text each, the file named as a user in its folder would see it."""
    try:
        configured(folder, text, environ, options, **more)
    except ConfigError as error:
        return [str(problem).replace(f"{folder}/", "") for problem in error.problems]
    return []


def candidates(config, model):
    """Who may serve a model: `slug/id there`."""
    return [f"{c.endpoint.slug}/{c.upstream_model}" for c in config.catalogue.candidates_for(model)]

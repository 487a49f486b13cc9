"""Providers: data rows about the outside world and the pure functions that read them.

`catalogue.toml` (endpoints), `models.toml`, `prices.toml`, `names.toml` (display name to slug);
`rows` (their types), `load` (strict reading), `environment` (keys and addresses), `naming` (a
model's id here and there), `catalogue` (look-ups), `quirks` (what a row cannot say), `estimates`
(prices and models from elsewhere). A provider's name appears as a string nowhere else.
"""

from arno.providers.catalogue import Candidate, Catalogue, load_catalogue
from arno.providers.environment import switched_on, upstream_key, usable
from arno.providers.load import CatalogueError, Tables, shipped
from arno.providers.rows import Architecture, Endpoint, Model, Price

__all__ = [
    "Architecture",
    "Candidate",
    "Catalogue",
    "CatalogueError",
    "Endpoint",
    "Model",
    "Price",
    "Tables",
    "load_catalogue",
    "shipped",
    "switched_on",
    "upstream_key",
    "usable",
]

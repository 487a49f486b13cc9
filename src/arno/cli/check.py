"""`arno check`: read the configuration as `arno serve` would, and say what would be served.

Exit code 0 if it can be served; 2 with every problem on standard error if not.
"""

from __future__ import annotations

import argparse

from arno.cli.configuration import configuration, ledger_folder
from arno.cli.estimates import estimate_now
from arno.cli.options import ENVIRON, add_config
from arno.cli.terminal import inert
from arno.gateway.config.report import as_document, as_text, report
from arno.wire import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def execute(options: argparse.Namespace) -> int:
    """Print the report. Raises ConfigError."""
    config = configuration(options, ENVIRON)
    found = report(config, *ledger_folder(config, ENVIRON), estimate_now(config))
    if options.json:
        document = {
            "configuration": config.source.name or None,
            "warnings": list(config.warnings),
            **as_document(found),
        }
        print(json.dumps(document).decode())
    else:
        print(f"configuration: {inert(config.source.name or 'none')}")
        print(inert(as_text(found)))
    return 0

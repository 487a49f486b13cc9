"""The table of checks, in the order in which they are run and printed."""

from collections.abc import Mapping

from checks.changelog import check_changelog
from checks.dispositions import check_dispositions
from checks.docs import check_docs
from checks.layers import check_layers
from checks.matrix import check_matrix
from checks.outcome import Check
from checks.packages import check_packages
from checks.sizes import check_sizes
from checks.tools import check_format, check_lint, check_types
from checks.waivers import check_waivers
from checks.words import check_words

CHECKS: Mapping[str, Check] = {
    "format": check_format,
    "lint": check_lint,
    "types": check_types,
    "layers": check_layers,
    "sizes": check_sizes,
    "waivers": check_waivers,
    "words": check_words,
    "dispositions": check_dispositions,
    "matrix": check_matrix,
    "packages": check_packages,
    "changelog": check_changelog,
    "docs": check_docs,
}

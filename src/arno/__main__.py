"""`python -m arno`."""

from arno.cli import main

raise SystemExit(main())

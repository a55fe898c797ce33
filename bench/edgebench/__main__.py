"""`python -m edgebench` is the same as `edgebench`."""

import sys

from edgebench.cli import main

sys.exit(main())

"""`python -m edgebench` is the same as `edgebench`."""

import sys

from edgebench.commands.main import main

sys.exit(main())

"""`python -m edgebench` is the same as `edgebench`; `worker`, which `ab` starts, pays for no other command."""

import sys

if sys.argv[1:2] == ["worker"]:
    from edgebench.ab.entry import main as worker

    sys.exit(worker(sys.argv[2:]))

from edgebench.cli import main

sys.exit(main())

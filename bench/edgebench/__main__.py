"""`python -m edgebench` is the same as `edgebench`; `worker`, which `ab` starts, pays for no other command."""

import signal
import sys

if sys.argv[1:2] == ["worker"]:
    from edgebench.ab.entry import main as worker

    sys.exit(worker(sys.argv[2:]))

# Nothing is lost yet: until a command takes ctrl-C, it ends the process as any other program.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from edgebench.commands.main import main

sys.exit(main())

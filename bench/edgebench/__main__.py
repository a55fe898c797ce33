"""The program, as `edgebench` and as `python -m edgebench`; `worker`, which `ab` starts, pays for no other command."""

import signal
import sys

# Nothing is lost yet: until a command takes ctrl-C, it ends the process as any other program.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> int:
    """Run the command line; return its exit code. What is imported comes after ctrl-C has been seen to."""
    if sys.argv[1:2] == ["worker"]:
        from edgebench.ab.entry import main as worker

        return worker(sys.argv[2:])
    from edgebench.commands.main import main as command
    from edgebench.machine.interrupts import leave

    try:
        return command()
    finally:
        leave()


if __name__ == "__main__":
    sys.exit(main())

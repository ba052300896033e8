"""`python -m connectors.sandbox`: run the sandbox by itself, until interrupted."""

import argparse
import shlex
import signal
import sys
from pathlib import Path

from connectors.sandbox.server import Sandbox, environment
from connectors.sandbox.world import World


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m connectors.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--state", type=Path, default=Path(".sandbox/state"), help="folder of the vendors' state")
    parser.add_argument("--households", type=int, default=None, help="how many households (default: all)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="the small world of about 200 people")
    parser.add_argument("--pace", type=float, default=1.0, help="how many times faster the vendors' limits refill")
    parser.add_argument("--print-env", action="store_true", help="print the variables that point at it, and stop")
    options = parser.parse_args(arguments)
    if options.print_env:
        options.state.mkdir(parents=True, exist_ok=True)
        for name, value in environment(f"http://{options.host}:{options.port}", options.state).items():
            sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
        return 0
    world = World.small() if options.small else World.build(households=options.households, seed=options.seed)
    sandbox = Sandbox(world, options.state, host=options.host, port=options.port, pace=options.pace)
    sys.stdout.write(f"sandbox ready at {sandbox.url}\n")
    sys.stdout.flush()
    sandbox.serve()
    return 0


if __name__ == "__main__":
    # Whoever started this may have been told to ignore the signal that ends us, and handed that on.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise SystemExit(main())

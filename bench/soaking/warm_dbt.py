"""dbt as a server that forks: the same dbt, in a process of its own a call, without the seconds its imports take.

The soak starts dbt hundreds of times. `install` writes a `dbt` that hands its arguments, folder, environment and output
to a process which has imported dbt already; that forks, joins the caller's process group, so that who kills the caller
kills it too, and runs dbt's own command line.
"""

import atexit
import importlib
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

ADDRESS = "KIZUNA_SOAK_DBT"

WARM = ("dbt.cli.main", "dbt.task.build", "dbt.adapters.duckdb", "pandas", "pyarrow.parquet", "scipy.sparse.csgraph")
"""What dbt imports for every build, and the models in Python."""

CLIENT = """#!{python} -IS
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect(os.environ["{address}"])
call = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ), "group": os.getpgrp()}}
socket.send_fds(server, [json.dumps(call).encode()], [0, 1, 2])
answer = server.recv(16)
sys.exit(int(answer) if answer else 1)
"""


def install(folder: Path) -> None:
    """Write the `dbt` of callers into a folder that is to stand first on their path."""
    folder.mkdir()
    client = folder / "dbt"
    client.write_text(CLIENT.format(python=sys.executable, address=ADDRESS), "utf-8")
    client.chmod(0o755)


def serve(listener: socket.socket, project: Path, ready: int) -> None:
    """Parse the project, write a byte to `ready` and answer calls until killed."""
    for module in WARM:
        importlib.import_module(module)
    from dbt.cli.main import dbtRunner

    os.chdir(project)
    # Twice: dbt makes its writers of manifests as it first writes one, and its readers as it first reads one. Without
    # the static parser, whose threads a fork leaves behind: a child that then parsed would wait for them for ever.
    for _ in range(2):
        if not dbtRunner().invoke(["--quiet", "--no-static-parser", "parse", "--profiles-dir", str(project)]).success:
            raise RuntimeError("dbt cannot parse the project")
    os.write(ready, b".")
    os.close(ready)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that nobody waits for leave no zombies
    while True:
        caller, _ = listener.accept()
        call, files, _, _ = socket.recv_fds(caller, 1 << 20, 3)
        if call and os.fork() == 0:
            listener.close()
            _run(caller, json.loads(call), files)
        caller.close()
        for file in files:
            os.close(file)


def _run(caller: socket.socket, call: dict, files: list[int]) -> None:
    """Become the caller's dbt; does not return."""
    status = 1
    try:
        os.setpgid(0, call["group"])
        # Whoever was killed before we joined their group is not waiting any more.
        if select.select([caller], [], [], 0)[0]:
            return
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(call["folder"])
        os.environ.clear()
        os.environ.update(call["environment"])
        sys.argv = ["dbt", *call["arguments"]]
        from dbt.cli.main import cli

        cli()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        atexit._run_exitfuncs()  # dbt closes the warehouse as the interpreter goes, which `os._exit` would skip
        sys.stdout.flush()
        sys.stderr.flush()
        caller.send(str(status).encode())
        os._exit(status)

"""The workers of pytest-xdist, each the fork of one process that has imported all tests.

pytest-xdist starts each worker as a new interpreter, and each imports the tests anew, for more than ten
seconds of CPU. Here the controller forks once; the fork collects what the workers will collect, so that all
modules are there, and forks again for each worker. What pytest-xdist starts is a small program that hands its
standard files on to that fork and waits for its end: to pytest-xdist the worker is as before.
"""

import contextlib
import gc
import logging
import os
import select
import shlex
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any


def serve_forks(config: Any, specs: list[Any]) -> None:
    """Let the workers of these specifications be forks of a process that this one starts.

    Args:
        config: the controller's.
        specs: of pytest-xdist, before it starts what they name.
    """
    folder = Path(tempfile.mkdtemp(prefix="worker-forks-"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(len(specs))
    # Nothing is written into the pipe: it ends with the controller, and so tells its fork to end.
    controller_ends, controller_lives = os.pipe()
    server = os.fork()
    if server == 0:
        try:
            os.close(controller_lives)
            _serve(config, listener, controller_ends)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(0)
    listener.close()
    os.close(controller_ends)

    def end() -> None:
        os.close(controller_lives)
        os.waitpid(server, 0)

    config.add_cleanup(end)
    for spec in specs:
        spec.python = shlex.join([sys.executable, "-I", "-S", __file__, str(folder / "socket")])


def _serve(config: Any, listener: socket.socket, controller_ends: int) -> None:
    """Import the tests, then fork for each program that connects, until the controller is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(nowhere, number)
    # A worker will find the same error, and tell of it.
    with contextlib.suppress(Exception):
        config.pluginmanager.get_plugin("session").perform_collect()
    gc.disable()
    gc.freeze()
    workers = []
    while controller_ends not in select.select([listener, controller_ends], [], [])[0]:
        connection, _ = listener.accept()
        worker = os.fork()
        if worker == 0:
            listener.close()
            _work(connection)
        workers.append(worker)
        connection.close()
    for worker in workers:
        os.kill(worker, signal.SIGKILL)  # one that hangs; the others have ended and only wait to be counted
        os.waitpid(worker, 0)


def _work(connection: socket.socket) -> None:
    """Be a worker; `connection` ends with this process, and so tells the program that waits for it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, closefd=False) for number, mode in enumerate(("r", "w", "w"))
    )
    logging.getLogger().handlers.clear()  # of the controller
    # What `python -c` has, which the line that execnet sends is written for.
    sys.modules["__main__"] = main = ModuleType("__main__")
    exec(eval(sys.stdin.readline()), vars(main))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


def main() -> None:
    """Hand the standard files to the process that forks, and wait for the end of the fork."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        socket.send_fds(connection, [b" "], [0, 1, 2])
        for number in (0, 1):
            os.close(number)
        connection.recv(1)
    os._exit(0)


if __name__ == "__main__":
    main()

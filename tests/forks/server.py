"""The server: imports libraries, then forks for each client, as Python would run what it asks for.

Its source is run with -c, and nothing in it is of this project.
"""

import array
import ast
import atexit
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
import types
from pathlib import Path

#: imported before anything is forked: none of this project, and nothing that starts threads of Python
LIBRARIES = (
    "snakemake.cli",
    "snakemake.executors.dryrun",
    "snakemake.executors.local",
    "snakemake.report",
    "smart_open",
    "requests",
    "snakemake_logger_plugin_rich",
    "snakemake_executor_plugin_slurm",
    "pydantic",
    "threadpoolctl",
    "yaml",
    "numpy",
    "pandas",
    "scipy.stats",
    "scipy.special",
    "PIL.Image",
    "torch",
    "torchvision.models",
    "torchvision.datasets",
    "safetensors.torch",
    "sklearn.linear_model",
    "sklearn.tree",
    "sklearn.neighbors",
    "sklearn.preprocessing",
    "sklearn.decomposition",
    "sklearn.pipeline",
    "sklearn.datasets",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_svg",
    "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_agg",
)


#: source -> its tree, for the first in a fork that parses it
TREES: dict[bytes, ast.Module] = {}
PARSE = ast.parse


def parse(source, *arguments, **named) -> ast.AST:
    """What ast.parse gives; each stage parses all modules of this project."""
    known = isinstance(source, bytes) and not arguments and not named
    return (TREES.pop(source, None) if known else None) or PARSE(source, *arguments, **named)


def serve(path: str, package: str) -> None:
    """Fork for each client until standard input ends; package: whose modules are parsed before."""
    for name in LIBRARIES:
        importlib.import_module(name)
    TREES.update((source, PARSE(source)) for source in (file.read_bytes() for file in Path(package).rglob("*.py")))
    ast.parse = parse
    gc.freeze()  # a fork that looked through all of this for garbage would copy it: 0.4 s, each time
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    here = socket.socket(socket.AF_UNIX)
    here.bind(f"{path}.new")
    here.listen(64)
    os.rename(f"{path}.new", path)
    ended, end = os.pipe()
    os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(end)
    clients = {}
    while True:
        ready, _, _ = select.select([here, ended, 0], [], [])
        if ended in ready:
            os.read(ended, 4096)
            tell(clients)
        if 0 in ready:
            os._exit(0)
        if here in ready:
            client, _ = here.accept()
            call, streams = received(client)
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for socket_ in (here, client, *clients.values()):
                    socket_.close()
                os.close(ended)
                os.close(end)
                run(**json.loads(call), streams=streams)
            for stream in streams:
                os.close(stream)
            clients[pid] = client
            with contextlib.suppress(OSError):
                client.sendall(f"{pid}\n".encode())


def received(client: socket.socket) -> tuple[bytes, list[int]]:
    """What one client asks for, and its standard streams."""
    streams = array.array("i")
    call, ancillary, _, _ = client.recvmsg(1 << 20, socket.CMSG_LEN(3 * streams.itemsize))
    streams.frombytes(ancillary[0][2])
    while not call.endswith(b"\n"):
        call += client.recv(1 << 20)
    return call, list(streams)


def tell(clients: dict[int, socket.socket]) -> None:
    """Tell the exit status of forks that have ended, as a shell does, to those who asked for them."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            code = os.waitstatus_to_exitcode(ended[1])
            with clients.pop(ended[0]) as client, contextlib.suppress(OSError):
                client.sendall(f"{code if code >= 0 else 128 - code}\n".encode())


def run(words: list[str], cwd: str, env: dict[str, str], streams: list[int]) -> None:
    """The command itself, from the start of Python to its end; words: [-P] -m MODULE ... or [-P] -c CODE ..."""
    code = 1
    try:
        how, what, *arguments = start(words, cwd, env, streams)
        sys.argv = [how, *arguments]
        sys.modules["__main__"] = types.ModuleType("__main__")
        if how == "-m":
            runpy._run_module_as_main(what)
        else:
            exec(what, vars(sys.modules["__main__"]))
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code & 0xFF)


def start(words: list[str], cwd: str, env: dict[str, str], streams: list[int]) -> list[str]:
    """Streams, folder, environment and paths as Python would find them; the words after its options."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.modules["numpy"].random.seed()  # what draws unseeded must not draw the same in each fork
    first = [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    if words[0] != "-P":
        first.insert(0, os.getcwd())
    sys.path[:] = first + [path for path in sys.path[1:] if path not in first]
    importlib.invalidate_caches()
    sys.orig_argv = [sys.executable, *words]
    sys.modules.pop("sitecustomize", None)
    if importlib.util.find_spec("sitecustomize"):
        importlib.import_module("sitecustomize")
        sys.modules.pop("sitecustomize")  # a stage would ask why this file is loaded, where it lies in its checkout
    return words[1:] if words[0] == "-P" else words


if __name__ == "__main__":
    serve(*sys.argv[1:])

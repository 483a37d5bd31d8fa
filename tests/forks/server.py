"""The server: imports libraries, then forks for each client, as Python would run what it asks for.

Its source is run with -c, and nothing in it is of this project.
"""

import array
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


def serve(path: str) -> None:
    """Fork for each client until standard input ends."""
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # a fork that looked through all of this for garbage would copy it: 0.4 s, each time
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    here = socket.socket(socket.AF_UNIX)
    here.bind(f"{path}.new")
    here.listen(64)
    os.rename(f"{path}.new", path)
    while True:
        ready, _, _ = select.select([here, 0], [], [])
        if 0 in ready:
            reap()
            os._exit(0)
        client, _ = here.accept()
        if os.fork() == 0:
            here.close()
            answer(client)
        client.close()
        reap()


def reap() -> None:
    """Wait for the forks that have ended: the time of the processor that they took is then the server's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def answer(client: socket.socket) -> None:
    """Run what one client asks for in a fork; tell it the process, then the exit status as a shell does."""
    try:
        streams = array.array("i")
        call, ancillary, _, _ = client.recvmsg(1 << 20, socket.CMSG_LEN(3 * streams.itemsize))
        streams.frombytes(ancillary[0][2])
        while not call.endswith(b"\n"):
            call += client.recv(1 << 20)
        pid = os.fork()
        if pid == 0:
            client.close()
            run(**json.loads(call), streams=list(streams))
        client.sendall(f"{pid}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        client.sendall(f"{code if code >= 0 else 128 - code}\n".encode())
    finally:
        os._exit(0)


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
    serve(sys.argv[1])

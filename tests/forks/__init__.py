"""Commands run by a fork of a Python that has the large libraries imported already.

A dry run of Snakemake, or a small stage, spends most of its time on importing libraries: here that is done once for all
tests of a process. What is forked has nothing of this project in it but the trees of its sources, for `ast.parse`: it
imports the modules of whatever checkout it is given, anew. Its arguments, environment, folder, standard streams and
exit status are those of the process that asks for it. What Snakemake runs is forked too: `python -m`, in the shell
command of a rule, is tests/forks/client.py.

What such a run can't show: PYTHONHASHSEED, and whatever else is read when Python or a library starts, are the server's,
the same for all forks; `peak_memory_mib` in sidecars includes the server's memory. So tests/test_workflow.py makes each
stage without forks too, and compares the bytes. Signals are passed on, but a fork is no child of what
asked for it: tests that kill processes start their own. Where it is not Linux, nothing is forked.
"""

import atexit
import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.forks import client

HERE = Path(__file__).parent
#: what bash reads before the shell command of a rule
BASH = 'python() {{ command "{python}" -ISE "{client}" "$@"; }}\n'


def run(module: str, *arguments: object, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """What `python -m module arguments ...` did in a folder, with this environment or that of the caller."""
    return python(["-m", module, *map(str, arguments)], cwd, env)


def code(text: str, *arguments: object, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """What `python -c text arguments ...` did."""
    return python(["-c", text, *map(str, arguments)], cwd, env)


def plain(module: str, *arguments: object, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """What `run` tells, of a process of its own, from nothing."""
    return _plain(["-m", module, *map(str, arguments)], cwd, env)


def _plain(words: list[str], cwd: Path, env: dict[str, str] | None) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True)


def python(words: list[str], cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    """What `python words ...` did; words: [-P] -m MODULE ... or [-P] -c CODE ..."""
    if not sys.platform.startswith("linux"):
        return _plain(words, cwd, env)
    environment = {**(os.environ if env is None else env), **for_jobs()}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, open(os.devnull) as nothing:
        streams = (nothing.fileno(), out.fileno(), err.fileno())
        status = client.ask(environment["FORKS"], words, str(cwd), environment, streams)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, status, out.read(), err.read())


def for_jobs() -> dict[str, str]:
    """The environment in which the jobs of a Snakemake are forks, whoever started it."""
    if not sys.platform.startswith("linux"):
        return {}
    socket = Server.started().socket
    return {"FORKS": str(socket), "FORKS_PYTHON": sys.executable, "BASH_ENV": f"{socket}.bash"}


class Server:
    """The server of this process, which ends with it: its standard input ends then."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="forks-")
        self.socket = Path(self.folder.name) / "socket"
        Path(f"{self.socket}.bash").write_text(BASH.format(python=sys.executable, client=HERE / "client.py"))
        code = (HERE / "server.py").read_text()  # with -c: a stage may load no file of this project but what it imports
        command = [sys.executable, "-c", code, self.socket, HERE.parent.parent / "workflow_scripts"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=self.folder.name)
        while not self.socket.exists():
            assert self.process.poll() is None, "the server of forks could not start"
            time.sleep(0.05)

    @staticmethod
    @functools.cache
    def started() -> "Server":
        """The one server, started when it is first asked for."""
        server = Server()
        atexit.register(server.close)
        return server

    def close(self) -> None:
        """End it."""
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()

"""Asks the server for a fork: `client.py -m MODULE ...`; any other call of Python is one.

It imports little, as each stage that Snakemake runs starts with it.
"""

import array
import json
import os
import signal
import socket
import sys


def ask(path: str, words: list[str], cwd: str, env: dict[str, str], streams=(0, 1, 2)) -> int:
    """Have `python words ...` run with these streams; its exit status. On standard ones, signals are passed on."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        call = json.dumps({"words": words, "cwd": cwd, "env": env}).encode() + b"\n"
        sent = server.sendmsg([call], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))])
        server.sendall(call[sent:])
        answer = server.makefile()
        pid = int(answer.readline())
        if streams == (0, 1, 2):
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda number, _: os.kill(pid, number))
        return int(answer.readline())


if __name__ == "__main__":
    if sys.argv[1:2] != ["-m"]:
        os.execv(os.environ["FORKS_PYTHON"], [os.environ["FORKS_PYTHON"], *sys.argv[1:]])
    sys.exit(ask(os.environ["FORKS"], sys.argv[1:], os.getcwd(), dict(os.environ)))

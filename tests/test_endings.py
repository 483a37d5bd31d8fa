"""Whatever stops a command is one plain line, and what comes from outside can't act on a terminal."""

import argparse
import ast
import errno
import json
import logging
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.workflow import ROOT, TINY
from workflow_scripts.audit import __main__ as audit
from workflow_scripts.config import endings
from workflow_scripts.config.calls import MISTAKE
from workflow_scripts.config.errors import Damaged, Misconfigured, Mistake

#: of BrokenPipeError, which ends a command in silence
PIPES = (errno.EPIPE, errno.ESHUTDOWN)


def stopped_by(error: BaseException, capsys, failed: int = 1) -> tuple[int, str]:
    """Exit code and line of a command that this stops."""
    with pytest.raises(SystemExit) as stop, endings.clear("train", failed):
        raise error
    if isinstance(stop.value.code, str):
        return 1, stop.value.code
    return stop.value.code, capsys.readouterr().err.rstrip("\n")


def python(*words: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess:
    command = " ".join([sys.executable, *words, shell])
    inherited = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=inherited, cwd=ROOT)


def is_command(path: Path) -> bool:
    """Whether a module does something when it is run by its name."""
    tests = [node.test for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.If)]
    return any(ast.unparse(test) == "__name__ == '__main__'" for test in tests)


PACKAGE = ROOT / "workflow_scripts"
COMMANDS = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if is_command(path))


@pytest.fixture
def run_command(monkeypatch):
    """Run a command of the package in this process, with these words after its name."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def run(command: str, *words: str):
        monkeypatch.setattr(sys, "argv", [str(PACKAGE / command), *words])
        runpy.run_path(str(PACKAGE / command), run_name="__main__")

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@given(st.text() | st.text(alphabet="\x1b\n\r\x9b\u202e\u2028\ud800a\u2066"))
@example("h\nCURRENT")
def test_no_text_acts_on_a_terminal(text):
    shown = endings.plain(text)
    assert shown.isprintable()
    shown.encode()
    assert endings.plain(shown) == shown
    assert len(endings.lines([text, text]).split("\n")) == 2


@pytest.mark.parametrize("failed", [1, MISTAKE])
@pytest.mark.parametrize(
    "error",
    [
        KeyError("a\nb"),
        RecursionError("\x1b[2J"),
        MemoryError(),
        KeyboardInterrupt(),
        AssertionError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        OSError(),
        OSError("offset"),
        Damaged("a\x1b]0;b.json: damaged\nCURRENT: delete it"),
        *(OSError(number, os.strerror(number), "file\n") for number in errno.errorcode if number not in PIPES),
    ],
    ids=repr,
)
def test_whatever_stops_a_command_is_one_line(error, failed, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(endings.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(endings, "_drop_output", lambda: None)
    code, line = stopped_by(error, capsys, failed)
    assert code == failed and line.isprintable() and line.startswith(("error: ", "stopped: "))
    for path in tmp_path.iterdir():
        assert str(path) in line and type(error).__name__ in path.read_text(encoding="utf-8")


def test_a_fault_of_the_program_leaves_its_traceback_in_a_file(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(endings.tempfile, "tempdir", str(tmp_path))
    stopped_by(ZeroDivisionError("x"), capsys)
    (path,) = tmp_path.iterdir()
    assert "raise error" in path.read_text(encoding="utf-8")


def test_each_mistake_of_a_config_has_its_line(capsys):
    mistakes = [Mistake("study.yaml", key, "bad_value", f"study.yaml: {key}\n") for key in "ab"]
    assert stopped_by(Misconfigured(mistakes), capsys)[1].split("\n") == [
        "error: study.yaml: a\\n",
        "error: study.yaml: b\\n",
    ]


def test_an_exit_and_a_sound_end_are_passed_on():
    with pytest.raises(SystemExit) as stop, endings.clear("train"):
        sys.exit(3)
    assert stop.value.code == 3
    with endings.clear("train"):
        pass


def test_a_fault_in_the_audit_is_no_verdict(monkeypatch, tmp_path, capsys):
    def fail(*_):
        raise KeyError("surprise")

    monkeypatch.setattr(endings.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["audit", str(tmp_path)])
    monkeypatch.setattr(audit, "Auditor", fail)
    with pytest.raises(SystemExit) as stop:
        audit.main()
    assert stop.value.code == MISTAKE and MISTAKE not in audit.EXIT.values()
    assert capsys.readouterr().err.count("\n") == 1


def ended(stop: SystemExit, capsys) -> tuple[int, str]:
    """Exit code of a process that this ends, and what it says on standard error."""
    said = capsys.readouterr().err.rstrip("\n")
    return (1, said + stop.code) if isinstance(stop.code, str) else (stop.code, said)


@pytest.mark.parametrize(
    "words", ["DefaultCPUAllocator: can't allocate memory: 4 TB", "CUDA out of memory. Tried 9 GiB"]
)
def test_memory_that_pytorch_cannot_have_is_no_fault_of_the_program(words, capsys):
    assert "not enough memory" in stopped_by(RuntimeError(words), capsys)[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_whatever_stops_any_command_is_one_line(command, run_command, monkeypatch, tmp_path, capsys):
    def fail(*_):
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(endings.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", fail)
    with pytest.raises(SystemExit) as stop:
        run_command(command)
    code, line = ended(stop.value, capsys)
    assert code in (1, MISTAKE) and line.startswith("error: ") and line.isprintable()


@pytest.mark.parametrize("words", [["--nonsense"], ["--h"], ["--\x1b[2J\n", "--directory", "nowhere"]], ids=str)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_call_of_any_command_is_one_line(command, words, run_command, capsys):
    with pytest.raises(SystemExit) as stop:
        run_command(command, *words)
    code, line = ended(stop.value, capsys)
    assert code in (1, MISTAKE) and line.startswith("error: ") and line.isprintable()


def test_all_commands_are_found():
    stages = {f"{path.stem}.py" for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert set(COMMANDS) > stages and "audit/equate.py" in COMMANDS and len(COMMANDS) >= 17


IN_A_FOLDER = {
    "config/__main__.py": ["train", "experiment=digits", "seed=0", "--configfile", os.path.relpath(TINY, ROOT)],
    "progress/__main__.py": [],
    "audit/__main__.py": ["results"],
    "audit/equate.py": ["train", "--results", "results"],
}


@pytest.mark.parametrize("command", IN_A_FOLDER)
def test_a_command_works_in_another_folder(command, run_command, monkeypatch, tmp_path, capsys):
    words = IN_A_FOLDER[command]
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as stop:
        run_command(command, *words, "--directory", str(tmp_path / "nowhere"))
    code, line = ended(stop.value, capsys)
    assert code in (1, MISTAKE) and line.startswith(f"error: --directory {tmp_path / 'nowhere'}: ")
    (tmp_path / "results").mkdir()
    plans = tmp_path / ".snakemake/plans"
    plans.mkdir(parents=True)
    run = {"pid": 1, "host": "elsewhere", "stages": [{"stage": "train", "logs": "its/logs", "jobs": []}]}
    (plans / "jobs.json").write_text(json.dumps(run))
    try:
        run_command(command, *words, "--directory", str(tmp_path))
    except SystemExit as stop:
        assert "no such folder" not in ended(stop, capsys)[1]
    else:
        assert capsys.readouterr().out
    assert Path.cwd() == tmp_path


def test_config_files_are_those_of_where_a_command_is_called(run_command, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(ROOT)
    words = IN_A_FOLDER["config/__main__.py"]
    run_command("config/__main__.py", *words)
    here = capsys.readouterr().out
    run_command("config/__main__.py", *words, "--directory", str(tmp_path))
    assert capsys.readouterr().out == here != ""
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as stop:
        run_command("audit/__main__.py", "results", "--configfile", words[-1], "--directory", str(tmp_path))
    assert "tiny.yaml" not in ended(stop.value, capsys)[1]


def test_a_log_line_is_one_line():
    record = logging.LogRecord("a", logging.INFO, "", 0, "read %s", ("a\nerror: b\x1b",), None)
    assert endings.Plain("%(message)s").format(record) == r"read a\nerror: b\x1b"


CONFIG = ("-m", "workflow_scripts.config", "train", "experiment=digits", "seed=0", "--configfile", "tests/tiny.yaml")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it needs a device that is always full, which Linux has")
def test_a_full_output_is_told_in_one_line():
    ended = python(*CONFIG, shell="> /dev/full")
    assert ended.returncode == 1 and ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1


FOREIGN = {
    "numpy/__init__.py": 'raise ImportError("for\nPython 2")',
    "pydantic.py": "",
    "yaml.py": "def f(:",
    "scipy/__init__.py": "import nowhere",
}


@pytest.mark.slow
@pytest.mark.parametrize("module", FOREIGN)
def test_a_library_that_can_not_be_imported_is_told_in_one_line(module, tmp_path):
    (tmp_path / module).parent.mkdir(exist_ok=True)
    (tmp_path / module).write_text(FOREIGN[module])
    for command in COMMANDS:
        words = command.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
        ended = python("-P", "-m", f"workflow_scripts.{words}", "--help", PYTHONPATH=f"{ROOT}:{tmp_path}")
        if ended.returncode:
            assert ended.returncode in (1, MISTAKE) and ended.stderr.count("\n") == 1, (command, ended.stderr)
            assert ended.stderr.startswith("error: ") and str(tmp_path) in ended.stderr, (command, ended.stderr)
    assert ended.returncode or module != "pydantic.py"


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_an_output_that_is_closed_is_no_fault(closed):
    for words in (CONFIG, ("-m", "workflow_scripts.audit", "--help"), ("-m", "workflow_scripts.train", "--help")):
        ended = python(*words, shell=closed)
        assert ended.returncode == 0 and ended.stderr == "", ended.stderr
    assert python("-m", "workflow_scripts.audit", "nowhere", shell=closed).returncode == 3


@pytest.mark.slow
def test_a_reader_that_goes_ends_it_in_silence():
    assert python(*CONFIG, shell="| true").stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [{"PYTHONOPTIMIZE": "2"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"HOME": "/nowhere"}],
    ids=str,
)
def test_commands_say_the_same_in_other_environments(environment):
    assert python(*CONFIG, **environment).stdout == python(*CONFIG).stdout != ""
    for command in ("audit", "progress", "config", "train"):
        ended = python("-m", f"workflow_scripts.{command}", "--help", **environment)
        assert ended.returncode == 0 and ended.stderr == "", command

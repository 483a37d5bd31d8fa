"""The one way in which a stage becomes a command: arguments, logging, clear errors, atomic outputs, provenance."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from pydantic import BaseModel
from threadpoolctl import threadpool_limits

from workflow_scripts.config import calls, endings, jobs
from workflow_scripts.config.base import parse_json
from workflow_scripts.config.errors import Changed, Missing, StudyError
from workflow_scripts.files import hashing
from workflow_scripts.job import locks, scratch
from workflow_scripts.provenance import equal, fingerprints, machine, sidecars

#: part of every job's code: raise it when an edit of this package, or of how it reads settings (config.base.parse),
#: changes what jobs write, and all jobs run again
VERSION = 1

Run = Callable[[BaseModel, SimpleNamespace, SimpleNamespace], None]

log = logging.getLogger("workflow_scripts")


@dataclass(frozen=True)
class Job:
    """One call of a stage: its settings, typed and as plain data, and the files that it reads and writes, by name.

    sidecar: where it tells of itself, if it does; read: what it reads, in the order of its options; bits: see
    machine.bits; key: stands for the job (sidecars.key).
    """

    stage: str
    config: BaseModel
    cfg: dict
    inputs: SimpleNamespace
    outputs: dict[str, Path]
    sidecar: Path | None
    read: list[sidecars.Input]
    bits: dict[str, str]
    key: str
    started: datetime

    @property
    def product(self) -> Path:
        """The file that stands for all that the job makes, and whose lock the job holds."""
        return self.targets[-1]

    @property
    def targets(self) -> list[Path]:
        """All files that it writes, the one that stands for them last."""
        return [*self.outputs.values(), *([self.sidecar] if self.sidecar else [])]

    @property
    def first(self) -> Path:
        """Its first output; what it works with lies beside it."""
        return next(iter(self.outputs.values()))

    @property
    def state(self) -> Path:
        """The folder for what lets the same job go on where it was cut off."""
        return self.first.parent / f"resume-{self.stage}-{self.key}"


def main(
    run: Run,
    config: type[BaseModel],
    inputs: dict[str, str] | None = None,
    outputs: dict[str, str] | None = None,
    folders: dict[str, str] | None = None,
) -> None:
    """Run one stage from the command line and exit: 0 when every output stands, 1 with one clear line otherwise.

    run(config, inputs, outputs) gets the typed config and the paths by name; the output paths lie in a scratch folder
    beside the real ones and are moved into place together after run returns, the sidecar last. outputs.key stands for
    the job in provenance (a figure carries it); outputs.state is a folder for what lets the same job go on where it was
    cut off, and is removed once the job is done. While another process makes the same products, this one waits.
    inputs, outputs and folders map each name to its help text; an input that ends in "+" takes one or more files, in
    "*" any number, in "?" it may be left out; a folder is only passed on. BLAS gets one thread: a result must not
    depend on how many cores there are.
    """
    stage = Path(sys.argv[0]).stem
    inputs, outputs, folders = inputs or {}, outputs or {}, folders or {}
    with endings.clear(stage):
        arguments = _parser(stage, config, inputs, outputs, folders).parse_args()
        _log_to_stderr()
        with threadpool_limits(1):
            _check_places(stage, arguments, [*map(_name, inputs)], list(outputs))
            job = _job(stage, config, arguments, [*map(_name, inputs)], list(outputs), list(folders))
            _do(job, run)


def _log_to_stderr() -> None:
    """Log there, in plain lines, and tell of a signal that ends the job."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(endings.Plain("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(handlers=[handler])
    log.setLevel(logging.INFO)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _stop)


def _check_places(stage: str, arguments, inputs: list[str], outputs: list[str]) -> None:
    """Raise Misused for an output that is an input or another output, or where no file can be."""
    written = [getattr(arguments, name) for name in [*outputs, "provenance"]]
    read = [path for name in inputs for path in _as_list(getattr(arguments, name))]
    if not arguments.cfg.lstrip().startswith("{"):
        read.append(Path(arguments.cfg))
    scratch.check(stage, filter(None, written), read)


def _job(stage: str, config: type[BaseModel], arguments, inputs: list[str], outputs: list[str], folders) -> Job:
    """What the arguments ask for. Raises StudyError where code or inputs are not what they were planned or made as."""
    started = datetime.now(UTC)
    settings = _resolved(parse_json(config, arguments.cfg))
    cfg = settings.model_dump(mode="json")
    code = fingerprints.of_job(stage, cfg)
    standing = equal.fingerprint(stage, code["digest"], code["libraries"])
    if arguments.code and arguments.code != standing:
        raise Changed(
            stage,
            "the code (or a library's version) has changed since this job was planned: "
            "run snakemake again so that it is planned with the code as it is now",
        )
    given = SimpleNamespace(**{name: getattr(arguments, name) for name in [*inputs, *folders]})
    final = {name: getattr(arguments, name) for name in outputs}
    read = _read([path for name in sorted(inputs) for path in _as_list(getattr(given, name))])
    bits = machine.bits(cfg.get("device"))
    fingerprint = fingerprints.of(code["digest"], code["libraries"])
    key = arguments.key or sidecars.key(stage, cfg, fingerprint, [digest for _, digest in read], bits)
    folder = _study_folder(stage, cfg["wildcards"], next(iter(final.values())).absolute())
    told = [sidecars.Input(_told(path, folder), digest) for path, digest in read]
    return Job(stage, settings, cfg, given, final, arguments.provenance, told, bits, key, started)


def _resolved(settings: BaseModel) -> BaseModel:
    """The settings with the device that is meant by `auto` here."""
    if getattr(settings, "device", None) != "auto":
        return settings
    from workflow_scripts.training import devices  # here: most stages need no PyTorch

    return settings.model_copy(update={"device": devices.resolved()})


def _study_folder(stage: str, wildcards: dict[str, str], output: Path) -> Path | None:
    """The folder of a study's results that a job writes to; None where its products lie elsewhere."""
    made = stage, wildcards
    return next((at for at in output.parents if jobs.maker(output.relative_to(at).as_posix()) == made), None)


def _told(path: Path, folder: Path | None) -> str:
    """How a sidecar calls an input: by its path in the study's results, or by that from the root."""
    path = path.absolute()
    return str(path.relative_to(folder) if folder and path.is_relative_to(folder) else path)


def _read(given: list[Path]) -> list[tuple[Path, str]]:
    """Each input and its SHA-256. Raises StudyError for one that is missing, or is not what its own job wrote."""
    for path in given:
        if not path.is_file():
            raise Missing(path, "no such file: run the stage that makes it first")
    read = {path: hashing.sha256(path) for path in given}
    sidecars.check_inputs(read)
    return [(path, read[path]) for path in given]


def _do(job: Job, run: Run) -> None:
    """Make the products of a job, unless another process makes them just now; then wait for it."""
    for path in job.targets:
        path.parent.mkdir(parents=True, exist_ok=True)
    with locks.held(job.product) as waited:
        if _is_made(job, waited):
            log.info("another job has made it meanwhile: nothing is left to do")
            return
        _make(job, run)
    seconds = (datetime.now(UTC) - job.started).total_seconds()
    log.info("done in %.1f s: %s", seconds, ", ".join(map(str, job.outputs.values())))


def _make(job: Job, run: Run) -> None:
    """Make the products in scratch folders beside them and move them into place; the lock must be held."""
    with scratch.folders(job.product, dict.fromkeys(path.parent for path in job.targets)) as folders:
        written = {name: folders[path.parent] / f"{name}{path.suffix}" for name, path in job.outputs.items()}
        try:
            run(job.config, job.inputs, SimpleNamespace(**written, key=job.key, state=job.state))
            fingerprints.check_loaded(job.stage, job.cfg)
            fingerprints.check_libraries(fingerprints.of_job(job.stage, job.cfg)["libraries"])
        except StudyError:
            scratch.remove(job.state)
            raise
        moves = {path: written[name] for name, path in job.outputs.items()}
        if job.sidecar:
            products = {path.name: there for path, there in moves.items()}
            record = sidecars.of_job(job.stage, job.cfg, job.read, products, job.bits, job.started, job.key)
            moves[job.sidecar] = folders[job.sidecar.parent] / "provenance.json"
            sidecars.write(moves[job.sidecar], record)
        scratch.replace(moves)
    scratch.remove(job.state)


def _is_made(job: Job, waited: bool) -> bool:
    """Whether the products stand, whole, as this job would make them, by one that was waited for or ended since."""
    record = sidecars.read(job.sidecar) if job.sidecar else None
    if record is None or record.key != job.key or not record.is_sealed:
        return False
    if not waited and datetime.fromisoformat(record.ended) < job.started:
        return False
    return all(path.is_file() and record.digest_of(path) == hashing.sha256(path) for path in job.outputs.values())


def _stop(number: int, _) -> None:
    log.error("stopped by %s: no result was written", signal.Signals(number).name)
    sys.exit(128 + number)


def _parser(stage, config, inputs, outputs, folders) -> argparse.ArgumentParser:
    main_module = sys.modules["__main__"]
    parser = calls.Parser(
        prog=f"python -m workflow_scripts.{stage}",
        description=(main_module.__doc__ or "").strip(),
        epilog=f"config keys: {', '.join(config.model_fields)}. "
        f"Print this stage's config of a study with: python -m workflow_scripts.config {stage} ...",
    )
    parser.add_argument("--cfg", required=True, help="all settings the stage reads: JSON, or the path of a JSON file")
    for name, text in inputs.items():
        parser.add_argument(
            _flag(_name(name)),
            type=Path,
            required=name[-1] not in "*?",
            nargs=name[-1] if name[-1] in "+*" else None,
            default=[] if name[-1] == "*" else None,
            metavar="IN",
            help=text,
        )
    for name, text in outputs.items():
        parser.add_argument(_flag(name), type=Path, required=True, metavar="OUT", help=text)
    for name, text in folders.items():
        parser.add_argument(_flag(name), type=Path, metavar="DIR", help=text)
    parser.add_argument("--provenance", type=Path, metavar="OUT", help="where the sidecar (.prov.json) goes")
    parser.add_argument("--code", help="refuse to run unless the job's code has this fingerprint")
    parser.add_argument("--key", help="the key that figures carry, to compare their bytes (default: this job's)")
    return parser


def _name(name: str) -> str:
    """An input's name without the sign that says how many files it takes."""
    return name.rstrip("+*?")


def _flag(name: str) -> str:
    return f"--{name}".replace("_", "-")


def _as_list(value) -> list[Path]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]

"""The one way in which a stage becomes a command: arguments, logging, clear errors, atomic outputs, provenance."""

import argparse
import errno
import glob
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

from pydantic import BaseModel
from threadpoolctl import threadpool_limits

from workflow_scripts.config.base import parse_json
from workflow_scripts.config.errors import StudyError
from workflow_scripts.files import hashing
from workflow_scripts.job import locks
from workflow_scripts.provenance import fingerprints, sidecars

log = logging.getLogger("workflow_scripts")


def main(
    run: Callable[[BaseModel, SimpleNamespace, SimpleNamespace], None],
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
    arguments = _parser(stage, config, inputs, outputs, folders).parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    log.setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, _stop)
    try:
        with threadpool_limits(1):
            _run(stage, run, config, arguments, [name.rstrip("+*?") for name in inputs], list(outputs), list(folders))
    except StudyError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(f"error: no space left where {stage} writes: free some, then run the same command again")
        sys.exit(
            f"error: {error.filename or stage}: {error.strerror or error}: {stage} can't read or write there: "
            "mend its permissions, or give another path"
        )
    except KeyboardInterrupt:
        sys.exit("stopped: no result was written")


def _run(stage, run, config, arguments, input_names, output_names, folder_names) -> None:
    started = datetime.now(UTC)
    code = fingerprints.code(stage)["fingerprint"]
    if arguments.code and arguments.code != code:
        raise StudyError(
            f"{stage}: the code (or a library's version) has changed since this job was planned: "
            "run snakemake again so that it is planned with the code as it is now"
        )
    cfg = parse_json(config, arguments.cfg)
    inputs = SimpleNamespace(**{name: getattr(arguments, name) for name in input_names + folder_names})
    final = {name: getattr(arguments, name) for name in output_names}
    sources = [path for name in input_names for path in _as_list(getattr(inputs, name))]
    for path in sources:
        if not path.is_file():
            raise StudyError(f"{path}: no such file: run the stage that makes it first")
    read = {path: hashing.sha256(path) for path in sources}
    sidecars.check_inputs(read)
    settings = cfg.model_dump(mode="json")
    key = sidecars.key(stage, settings, code, read)
    for path in [*final.values(), *filter(None, [arguments.provenance])]:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise StudyError(f"{path}: a folder lies where {stage} writes this file: remove it, or give another path")
    product = arguments.provenance or next(iter(final.values()))
    with locks.held(product) as waited:
        if waited and _is_made(arguments.provenance, final, key):
            log.info("the job that was waited for has made it: nothing is left to do")
            return
        scratch = _scratch(product.name, next(iter(final.values())).parent)
        _make(stage, run, cfg, inputs, final, arguments.provenance, read, started, key, scratch)
    log.info("done in %.1f s: %s", (datetime.now(UTC) - started).total_seconds(), ", ".join(map(str, final.values())))


def _scratch(product: str, folder: Path) -> Path:
    """A new folder to work in, once what a killed job of this product left is removed; its lock must be held."""
    for left in folder.glob(f".{glob.escape(product)}-*"):
        shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f".{product}-", dir=folder))


def _make(stage, run, cfg, inputs, final, sidecar, read, started, key, scratch) -> None:
    """Make the products in a scratch folder beside them and move them into place."""
    state = scratch.parent / f"resume-{stage}-{key}"
    try:
        written = {name: scratch / f"{name}{path.suffix}" for name, path in final.items()}
        run(cfg, inputs, SimpleNamespace(**written, key=key, state=state))
        fingerprints.check_imports(stage)
        moves = {path: written[name] for name, path in final.items()}
        if sidecar:
            record = sidecars.of_job(stage, cfg.model_dump(mode="json"), read, moves, started, key)
            beside = scratch / "provenance.json"
            sidecars.write(beside, record)
            moves[sidecar] = beside
        for path, there in moves.items():
            os.replace(there, path)
        shutil.rmtree(state, ignore_errors=True)
    except StudyError:
        shutil.rmtree(state, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_made(sidecar: Path | None, final: dict[str, Path], key: str) -> bool:
    """Whether the products stand, whole, as this job would make them."""
    record = sidecars.read(sidecar) if sidecar else None
    if record is None or record["key"] != key or not sidecars.is_sealed(record):
        return False
    return all(path.is_file() and sidecars.told(record, path) == hashing.sha256(path) for path in final.values())


def _stop(*_) -> None:
    log.error("stopped by SIGTERM: no result was written")
    sys.exit(128 + signal.SIGTERM)


def _parser(stage, config, inputs, outputs, folders) -> argparse.ArgumentParser:
    main_module = sys.modules["__main__"]
    parser = argparse.ArgumentParser(
        prog=f"python -m workflow_scripts.{stage}",
        description=(main_module.__doc__ or "").strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        epilog=f"config keys: {', '.join(config.model_fields)}. "
        f"Print this stage's config of a study with: python -m workflow_scripts.config {stage} ...",
    )
    parser.add_argument("--cfg", required=True, help="all settings the stage reads: JSON, or the path of a JSON file")
    for name, text in inputs.items():
        parser.add_argument(
            f"--{name.rstrip('+*?')}".replace("_", "-"),
            type=Path,
            required=name[-1] not in "*?",
            nargs=name[-1] if name[-1] in "+*" else None,
            default=[] if name[-1] == "*" else None,
            metavar="IN",
            help=text,
        )
    for name, text in outputs.items():
        parser.add_argument(f"--{name}".replace("_", "-"), type=Path, required=True, metavar="OUT", help=text)
    for name, text in folders.items():
        parser.add_argument(f"--{name}".replace("_", "-"), type=Path, metavar="DIR", help=text)
    parser.add_argument("--provenance", type=Path, metavar="OUT", help="where the sidecar (.prov.json) goes")
    parser.add_argument("--code", help="refuse to run unless the stage's code has this fingerprint")
    return parser


def _as_list(value) -> list[Path]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]

"""The hashes of all that the tiny study made, job by job, in golden.json: the same key must give the same bytes.

To write them anew, from a folder in which the tiny study is finished: python -m tests.golden FOLDER
"""

import json
import platform
import sys
from pathlib import Path

from workflow_scripts.provenance import machine, sidecars

PATH = Path(__file__).with_name("golden.json")


def of(folder: Path) -> dict:
    """What a finished study has: the kind of machine, and of each job its key and the SHA-256 of its products."""
    results = folder / "results/tiny"
    jobs = {str(path.relative_to(results)): sidecars.read(path) for path in results.rglob(f"*{sidecars.SUFFIX}")}
    return {
        "machine": machine.bits("cpu") | {"python": platform.python_version()},
        "keys": {job: record.key for job, record in jobs.items()},
        "outputs": {job: record.outputs for job, record in jobs.items()},
    }


def load() -> dict:
    """The hashes that were written down."""
    return json.loads(PATH.read_text())


if __name__ == "__main__":
    PATH.write_text(json.dumps(of(Path(sys.argv[1])), indent=1, sort_keys=True) + "\n")

"""Time and memory of the jobs that made some results, beside what their rules ask for in the first attempt.

python -m benchmarks.resources RESULTS...

Reads the sidecars (*.prov.json) in these folders. Memory is the peak of the stage's process; a job on a cluster needs
about 300 MiB more, for the two Snakemakes around it.
"""

import argparse
import json
import re
import statistics
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

RULES = Path(__file__).resolve().parent.parent / "rules"


def asked() -> dict[str, tuple[int, int]]:
    """Rule -> MiB and minutes of its first attempt, in the order of the rules."""
    found = re.findall(
        r"^(?:use )?rule (?:\w+ as )?(\w+)(?: with)?:.*?growing\(mem_mb=(\d+), runtime=(\d+)\)",
        "\n".join(path.read_text() for path in sorted(RULES.glob("*.smk"))),
        re.MULTILINE | re.DOTALL,
    )
    return {rule: (int(mem), int(runtime)) for rule, mem, runtime in found}


def rule_of(record: dict) -> str:
    """The rule of the job behind a sidecar."""
    if record["stage"] != "distill":
        return record["stage"]
    settings = record["cfg"]["settings"]
    return f"distill_{settings['labels']}_labels" + "_by_sgd" * (settings["fit"]["solver"] == "sgd")


def used(folders: Iterable[Path]) -> dict[str, list[tuple[float, int]]]:
    """Rule -> seconds and peak MiB of each of its jobs."""
    found = {}
    for path in (path for folder in folders for path in folder.rglob("*.prov.json")):
        record = json.loads(path.read_bytes())
        started, ended = (datetime.fromisoformat(record[name]) for name in ("started", "ended"))
        found.setdefault(rule_of(record), []).append(((ended - started).total_seconds(), record["peak_memory_mib"]))
    return found


def main() -> None:
    """Print a row per rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    found = used(parser.parse_args().results)
    print("| rule | jobs | median, s | longest, s | peak, MiB | asked, MiB | asked, minutes |")
    print("|---|---|---|---|---|---|---|")
    for rule, (mem, minutes) in asked().items():
        if jobs := found.get(rule):
            seconds, peaks = zip(*jobs, strict=True)
            times = f"{statistics.median(seconds):.1f} | {max(seconds):.1f}"
            print(f"| {rule} | {len(jobs)} | {times} | {max(peaks)} | {mem} | {minutes} |")


if __name__ == "__main__":
    main()

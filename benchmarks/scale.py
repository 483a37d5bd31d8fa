"""What a study of many experiments and seeds would be on a cluster: jobs, submissions, files, and the cost of planning.

python -m benchmarks.scale [--experiments 100] [--seeds 100] [--rounds 1]

Nothing runs, and Slurm need not be there. Seconds are those of the processor and of the clock. A dry run prints every
job, which a run does not: "planned" is when a run would submit its first one.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from snakemake.cli import main as snakemake
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from workflow_scripts.engine import plan

ROOT = Path(__file__).resolve().parent.parent


def study(experiments: int, seeds: int) -> dict:
    """Experiments with explainers of each kind of labels, a figure of each, and a table of all."""
    names = [f"e{number:03}" for number in range(experiments)]
    return {
        "study": "s",
        "seeds": list(range(seeds)),
        "datasets": {"waves": {"kind": "sinusoid", "train": 200, "test": 100, "dimension": 4, "fresh": 50}},
        "tasks": {"waves": {"dataset": "waves"}},
        "explainers": {
            "linear": {"labels": "true"},
            "linear_t0": {"labels": "t0", "reference": "linear"},
            "linear_final": {"labels": "final", "inputs": "fresh"},
        },
        "experiments": {
            name: {
                "title": name,
                "task": "waves",
                "network": {"kind": "mlp", "widths": [8 + width]},
                "sgd": {"lr": 0.1, "batch_size": 50, "epochs": 2},
                "explainers": ["linear", "linear_t0", "linear_final"],
            }
            for width, name in enumerate(names)
        },
        "figures": {f"of_{name}": {"kind": "dynamics", "experiments": [name]} for name in names},
        "tables": {"phases": {"kind": "phases", "experiments": names}},
    }


def plan_alone() -> None:
    """A dry run with the arguments of this process; prints seconds until planned, jobs, submissions, files."""
    schedule, counts = JobScheduler.schedule, []

    def planned(scheduler: JobScheduler) -> bool:
        counts.append(f"{time.process_time():.1f}")
        return schedule(scheduler)

    def tell(workflow, _: Path) -> None:
        workflow._executor_plugin = ExecutorPluginRegistry().get_plugin("slurm")  # else all jobs are local in a dry run
        dag = workflow.dag
        jobs = [job for job in dag.jobs if dag.needrun(job) and job.output]
        submissions = {dag.get_job_group(job) or job for job in jobs if not job.is_local}
        files = sum(len(job.output) + len(job.log) for job in jobs)
        print(*counts, len(jobs), len(submissions), files)

    JobScheduler.schedule = planned
    plan.explain = tell  # what the Snakefile calls after a dry run
    snakemake(sys.argv[1:])


def main() -> None:
    """Print a line per round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "study.yaml")
        config.write_text(yaml.safe_dump(study(arguments.experiments, arguments.seeds)))
        command = [
            sys.executable,
            "-c",
            "from benchmarks.scale import plan_alone; plan_alone()",
            "--dry-run",
            "--quiet",
            "all",
        ]
        command += ["--cores", "8", "--profile", ROOT / "slurm", "--snakefile", ROOT / "Snakefile"]
        command += ["--directory", folder, "--configfile", config]
        before = 0.0
        for _ in range(arguments.rounds):
            start = time.perf_counter()
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            wall = time.perf_counter() - start
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            planned, jobs, submissions, files = done.stdout.splitlines()[-1].split()
            seconds = used.ru_utime + used.ru_stime
            print(
                f"{arguments.experiments} experiments of {arguments.seeds} seeds: "
                f"{jobs} jobs, {submissions} submissions, {files} files; "
                f"planned {planned} s, dry run {seconds - before:.1f} s ({wall:.1f} s by the clock), "
                f"{used.ru_maxrss / 1024:.0f} MiB",
                flush=True,
            )
            before = seconds


if __name__ == "__main__":
    main()

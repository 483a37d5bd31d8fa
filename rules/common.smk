# What the rules share: the typed study, the paths of its results, and the two tracked params of every stage.

import atexit
import functools
import gc
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, workflow.basedir)

from workflow_scripts.config import endings

with endings.clear("snakemake"):  # no WorkflowError: Snakemake would add a file and a line that the user can't mend
    from workflow_scripts.config import configfiles, jobs, kinds, paths
    from workflow_scripts.config.study import load
    from workflow_scripts.engine import cache, cluster, kept, orphans, owner, persistence, plan, rerun_settings, signals
    from workflow_scripts.files import hashing, listed
    from workflow_scripts.progress import report as progress
    from workflow_scripts.provenance import equal, fingerprints, machine, sidecars

# A job on another node takes the settings and the code that it was planned with, whatever has been edited since.
CODE = {}
with endings.clear("snakemake"):
    if workflow.is_main_process:
        plan.check_place(workflow.basedir)
        configfiles.refuse_repeated(sys.argv[1:])
        for path in workflow.configfiles:
            configfiles.check(path)
    else:
        config, CODE = plan.frozen()
    STUDY = load(config, " + ".join(os.path.relpath(path) for path in workflow.configfiles))
    ORIGIN = plan.origin(workflow.overwrite_configfiles, workflow.config_settings.config)
    if workflow.is_main_process:
        owner.check(STUDY, ORIGIN)
    rerun_settings.hold(workflow)
    cache.install(workflow)
    persistence.install()
    cluster.tell_refusals()
    kept.install(workflow)
    signals.install()

# Captions in a report can read nothing but `config`: there they find the text that the kind of figure or table has.
# It is no part of what jobs are planned with: that is GIVEN.
GIVEN = config
if workflow.is_main_process:
    of_figures = {name: kinds.of("figures", figure.kind).CAPTION for name, figure in STUDY.figures.items()}
    of_tables = {name: kinds.of("tables", table.kind).CAPTION for name, table in STUDY.tables.items()}
    config = GIVEN | {"captions": {"figures": of_figures, "tables": of_tables}}

# Jobs run the same Python as Snakemake (unless --sdm conda gives them another) and find the package from any folder.
# Where downloads lie and what the command line was changes no result, so these go past the tracked params.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    PYTHONPATH=os.pathsep.join(filter(None, [workflow.basedir, os.environ.get("PYTHONPATH")])),
    SGD_COMPLEXITY_DATA_ROOT=STUDY.data_root,
)
if workflow.is_main_process:
    os.environ[machine.STUDY] = ORIGIN

# A plan is millions of objects that all stay: searching them for garbage is a quarter of planning, and slow at exit.
YOUNG, MIDDLE, OLD = gc.get_threshold()
if workflow.is_main_process:
    gc.set_threshold(YOUNG, MIDDLE, 1_000_000)
atexit.register(gc.freeze)
atexit.register(plan.explain, workflow, Path.cwd())
if workflow.is_main_process:
    atexit.register(owner.renew, workflow, STUDY, ORIGIN)


onstart:
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    if workflow.is_main_process:
        with endings.clear("snakemake"):
            orphans.refuse(Path.cwd())
            cluster.refuse(workflow)
            cluster.judge_forgotten(workflow)
            owner.write(STUDY, ORIGIN)
            plan.freeze(GIVEN, CODE)
        progress.begin(workflow)
        cache.spell_out(workflow)


#: what a rule that trains networks asks for
GPU = 0 if STUDY.device == "cpu" else 1


def one_of(names):
    """A wildcard constraint: one of these names, or nothing at all."""
    return "|".join(map(re.escape, names)) or "(?!)"


def growing(**first):
    """The resources of a rule: so much in the first attempt, twice that in the second, and so on."""

    def times_attempt(amount):
        return lambda wildcards, attempt: amount * attempt

    return {name: times_attempt(amount) for name, amount in first.items()}


@functools.lru_cache(maxsize=1)
def settings(stage, **wildcards):
    """All that one job reads of the study. Snakemake asks for both params of a job, one after the other."""
    with endings.clear("snakemake"):
        return jobs.settings(STUDY, stage, **wildcards)


def code(stage, cfg):
    """The fingerprint of a job's code: as it was planned, on another node."""
    name = " ".join([stage, *sorted(fingerprints.kinds(cfg))])
    if name not in CODE:
        with endings.clear("snakemake"):
            found = fingerprints.of_job(stage, cfg)
            CODE[name] = equal.fingerprint(stage, found["digest"], found["libraries"])
    return CODE[name]


def _in_html(text):
    r"""The same JSON with < > & as \u003c and so on: Snakemake's report puts it between tags as it is."""
    return text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"})


def tracked(stage):
    """The tracked params of a rule: all the settings that its stage reads, and the fingerprint of its code."""
    return {
        "cfg": lambda wildcards: _in_html(hashing.canonical_json(settings(stage, **wildcards))),
        "code": lambda wildcards: code(stage, settings(stage, **wildcards)),
    }


def reads(stage, *options):
    """The named inputs of a rule: the files that its stage takes by each of these options of its command."""

    def given(wildcards, option):
        found = jobs.inputs(STUDY, stage, **wildcards)
        if option not in found:
            sys.exit(f"error: rules/{stage}.smk: config/jobs.py names no files for {option}, only {', '.join(found)}")
        return found[option]

    def files(option):
        return lambda wildcards: [results(path) for path in given(wildcards, option)]

    return {option: files(option) for option in options}


def reads_all(stage):
    """All files that a figure or table reads, in the order in which its stage takes them."""
    return lambda wildcards: map(results, listed.in_order(jobs.inputs(STUDY, stage, **wildcards)))


def results(path):
    """A file of this study's results."""
    return f"results/{STUDY.study}/{path}"


def makes(stage, files=None):
    """The named outputs of a rule: its products, and the sidecar beside the first one."""
    found = {option: results(path) for option, path in (files or jobs.OF_STAGE[stage].products).items()}
    return found | {"provenance": next(iter(found.values())) + sidecars.SUFFIX}


def of_runs(file):
    """That file of every seed of every experiment: a function, as jobs on nodes have no use for thousands of paths."""
    return lambda _: [
        results(path) for name in STUDY.experiments for path in paths.of_seeds(name, STUDY.seeds_of(name), file)
    ]


def every_explainer(_):
    """Every explainer, those of true labels once."""
    runs = [(name, seed) for name in STUDY.experiments for seed in STUDY.seeds_of(name)]
    return sorted({results(path) for run in runs for path in paths.explainers(STUDY, *run)})


DATA = [results(paths.dataset(STUDY.dataset_of(experiment))) for experiment in STUDY.experiments]
SUMMARIES = [results(f"{experiment}/summary.csv") for experiment in STUDY.experiments]
NULLS = [results(f"{experiment}/nulls.csv") for experiment in STUDY.experiments]
SIMULATIONS = [results(paths.simulation(simulation)) for simulation in STUDY.simulations]
FIGURES = [results(f"figures/{figure}.svg") for figure in STUDY.figures]
TABLES = [results(f"tables/{table}.csv") for table in STUDY.tables]


wildcard_constraints:
    dataset=one_of(STUDY.datasets),
    task=one_of(STUDY.tasks),
    experiment=one_of(STUDY.experiments),
    explainer=one_of(STUDY.explainers),
    simulation=one_of(STUDY.simulations),
    figure=one_of(STUDY.figures),
    table=one_of(STUDY.tables),
    seed=r"\d+",

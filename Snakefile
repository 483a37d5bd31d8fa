"""Which simple function explains what SGD has learned so far?

data -> trained -> finals -> explainers -> measures -> nulls -> figures: each name is a target, and so is
`simulations`, which needs no data; `all` is the whole study.
A file given with --configfile is a whole study; to change the default one: --configfile config.yaml changes.yaml
"""

from snakemake.utils import min_version

min_version("9.27")


if not workflow.overwrite_configfiles:

    configfile: f"{workflow.basedir}/config.yaml"


include: "rules/common.smk"
include: "rules/prepare_data.smk"
include: "rules/simulate.smk"
include: "rules/train.smk"
include: "rules/extract_final.smk"
include: "rules/distill.smk"
include: "rules/measure.smk"
include: "rules/null_models.smk"
include: "rules/summarize.smk"
include: "rules/order_examples.smk"
include: "rules/decompose.smk"
include: "rules/plot.smk"
include: "rules/tabulate.smk"


report: "rules/captions/workflow.rst"


localrules:
    all,
    data,
    trained,
    finals,
    explainers,
    measures,
    nulls,
    simulations,
    figures,
    prepare_data,
    plot,
    tabulate,


rule all:
    """The whole study: every figure and table, and everything behind them."""
    default_target: True
    input:
        lambda _: map(results, jobs.targets(STUDY)),


rule data:
    """The arrays of every data set."""
    input:
        DATA,


rule trained:
    """Every network, trained."""
    input:
        of_runs("trajectory.npz"),


rule finals:
    """f_inf of every network."""
    input:
        of_runs("final.npz"),


rule explainers:
    """Every explainer, fitted."""
    input:
        every_explainer,


rule measures:
    """The information quantities of every seed, and their summaries."""
    input:
        of_runs("measures.csv"),
        SUMMARIES,


rule nulls:
    """The null models of every experiment."""
    input:
        NULLS,


rule simulations:
    """The simulations of Theorem 1."""
    input:
        SIMULATIONS,


rule figures:
    """Every figure and table."""
    input:
        FIGURES,
        TABLES,

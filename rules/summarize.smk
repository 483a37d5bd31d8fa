# In: measures.csv and classes.csv of every seed, and the predictions behind them.
# Out: summary.csv, phases.csv, classes.csv and order.csv of the experiment.


rule summarize:
    """Mean, deviation and interval over the seeds of every measure, the phases of training, and each class."""
    input:
        **reads("summarize", "data", "measures", "class_measures", "trajectories", "explainers"),
    output:
        **makes("summarize"),
    log:
        results("{experiment}/logs/summarize.log"),
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=1000, runtime=30),
    params:
        **tracked("summarize"),
    message:
        "summarise {wildcards.experiment}"
    shell:
        "python -P -m workflow_scripts.summarize --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q} --measures {input.measures:q} --class-measures {input.class_measures:q}"
        " --trajectories {input.trajectories:q} --explainers {input.explainers:q}"
        " --summary {output.summary:q} --phases {output.phases:q}"
        " --classes {output.classes:q} --order {output.order:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"

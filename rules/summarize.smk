# In: measures.csv of every seed, and the predictions behind it. Out: summary.csv and phases.csv of the experiment.


rule summarize:
    """Mean, deviation and interval over the seeds of every measure, and the phases of training."""
    input:
        data=data_file,
        measures=per_seed("measures.csv"),
        trajectories=per_seed("trajectory.npz"),
        explainers=explainers_of_all_seeds,
    output:
        summary="results/{experiment}/summary.csv",
        phases="results/{experiment}/phases.csv",
        provenance="results/{experiment}/summary.csv.prov.json",
    log:
        "results/{experiment}/logs/summarize.log",
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    params:
        **tracked("summarize"),
    message:
        "summarise {wildcards.experiment}"
    shell:
        "python -m workflow_scripts.summarize --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q} --measures {input.measures:q}"
        " --trajectories {input.trajectories:q} --explainers {input.explainers:q}"
        " --summary {output.summary:q} --phases {output.phases:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"

# In: the trajectories and explainers of every seed. Out: results/{study}/{experiment}/nulls.csv


rule null_models:
    """Every explainer of an experiment beside its null models, at T0 of each seed."""
    input:
        **reads("null_models", "data", "trajectories", "explainers"),
    output:
        **makes("null_models"),
    log:
        results("{experiment}/logs/null_models.log"),
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=750, runtime=30),
    params:
        **tracked("null_models"),
    message:
        "null models of {wildcards.experiment}"
    shell:
        "python -P -m workflow_scripts.null_models --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q} --trajectories {input.trajectories:q} --explainers {input.explainers:q}"
        " --nulls {output.nulls:q} --provenance {output.provenance:q} > {log:q} 2>&1"

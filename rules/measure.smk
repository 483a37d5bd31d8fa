# In: the trajectory of one seed and its explainers. Out: measures.csv and classes.csv


rule measure:
    """Information quantities of one seed's trajectory against each of its explainers."""
    input:
        **reads("measure", "data", "trajectory", "explainers"),
    output:
        **makes("measure"),
    log:
        results("{experiment}/seed{seed}/logs/measure.log"),
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=1000, runtime=30),
    params:
        **tracked("measure"),
    message:
        "measure {wildcards.experiment}, seed {wildcards.seed}"
    shell:
        "python -P -m workflow_scripts.measure --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q} --trajectory {input.trajectory:q} --explainers {input.explainers:q}"
        " --measures {output.measures:q} --classes {output.classes:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"

# In: the trajectory of one seed and its explainers. Out: measures.csv and classes.csv


rule measure:
    """Information quantities of one seed's trajectory against each of its explainers."""
    input:
        **reads("measure", "data", "trajectory", "explainers"),
    output:
        measures=f"{SEED_FOLDER}/measures.csv",
        classes=f"{SEED_FOLDER}/classes.csv",
        provenance=f"{SEED_FOLDER}/measures.csv.prov.json",
    log:
        f"{SEED_FOLDER}/logs/measure.log",
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
        "python -m workflow_scripts.measure --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q} --trajectory {input.trajectory:q} --explainers {input.explainers:q}"
        " --measures {output.measures:q} --classes {output.classes:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"

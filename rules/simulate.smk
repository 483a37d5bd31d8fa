# In: nothing. Out: results/{study}/simulations/{simulation}.csv


rule simulate:
    """Theorem 1: accuracy during SGD for every noise level and initial weights."""
    output:
        **makes("simulate"),
    log:
        results("simulations/logs/{simulation}.log"),
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=750, runtime=30),
    params:
        **tracked("simulate"),
    message:
        "simulation {wildcards.simulation}"
    shell:
        "python -P -m workflow_scripts.simulate --cfg {params.cfg:q} --code {params.code}"
        " --table {output.table:q} --provenance {output.provenance:q} > {log:q} 2>&1"

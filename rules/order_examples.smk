# In: the trajectories of every seed. Out: results/{study}/{experiment}/examples.csv


rule order_examples:
    """When each test example is learned, by every seed."""
    input:
        **reads("order_examples", "data", "trajectories"),
    output:
        **makes("order_examples"),
    log:
        results("{experiment}/logs/order_examples.log"),
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=750, runtime=20),
    params:
        **tracked("order_examples"),
    message:
        "order the examples of {wildcards.experiment}"
    shell:
        "python -P -m workflow_scripts.order_examples --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q} --trajectories {input.trajectories:q}"
        " --examples {output.examples:q} --provenance {output.provenance:q} > {log:q} 2>&1"

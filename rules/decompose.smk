# In: the trajectory of every seed of a linear network, with its weights.
# Out: modes.csv, class_modes.csv and modes.npz of the experiment.


rule decompose:
    """Singular modes of the training data, how a linear network learns them, and the order of classes they predict."""
    input:
        **reads("decompose", "data", "trajectories"),
    output:
        **makes("decompose"),
    log:
        results("{experiment}/logs/decompose.log"),
    wildcard_constraints:
        experiment=one_of(STUDY.with_modes()),
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=1500, runtime=30),
    params:
        **tracked("decompose"),
    message:
        "modes of {wildcards.experiment}"
    shell:
        "python -P -m workflow_scripts.decompose --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q} --trajectories {input.trajectories:q}"
        " --modes {output.modes:q} --class-modes {output.class_modes:q} --vectors {output.vectors:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"

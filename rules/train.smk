# In: results/{study}/data/{dataset}.npz. Out: trajectory.npz and network.safetensors of one seed.


rule train:
    """One network, one seed: predictions and losses at every checkpoint, and the weights at the end."""
    input:
        **reads("train", "data"),
    output:
        **makes("train"),
    log:
        results("{experiment}/seed{seed}/logs/train.log"),
    cache: True
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=6000, runtime=240),
        gpu=GPU,
    params:
        **tracked("train"),
    message:
        "train {wildcards.experiment}, seed {wildcards.seed}: progress in {log}"
    shell:
        "python -P -m workflow_scripts.train --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q}"
        " --trajectory {output.trajectory:q} --weights {output.weights:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"

# In: trajectory.npz and network.safetensors of one seed. Out: final.safetensors and final.npz.


rule extract_final:
    """f_inf, the network at the end of training, and its labels on every input that a distillation uses."""
    input:
        **reads("extract_final", "data", "trajectory", "weights"),
    output:
        **makes("extract_final"),
    log:
        results("{experiment}/seed{seed}/logs/extract_final.log"),
    cache: True
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=1500, runtime=20),
    params:
        **tracked("extract_final"),
    message:
        "extract f_inf of {wildcards.experiment}, seed {wildcards.seed}"
    shell:
        "python -P -m workflow_scripts.extract_final --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q} --trajectory {input.trajectory:q} --weights {input.weights:q}"
        " --final-weights {output.final_weights:q} --final-labels {output.final_labels:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"

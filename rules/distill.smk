# In: the labels to fit (the data's, f_inf's, or f_T0's). Out: explainers/{explainer}.npz, once per task for true
# labels, else once per seed.


rule distill_true_labels:
    """An explainer fitted to the true labels: once per task."""
    input:
        **reads("distill", "data"),
    output:
        **makes("distill", paths.OF_TRUE_LABELS),
    log:
        results("tasks/{task}/logs/{explainer}.log"),
    wildcard_constraints:
        explainer=one_of(STUDY.explainers_with("true", trains_network=False)),
    cache: True
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=4500, runtime=30),
    params:
        **tracked("distill"),
    message:
        "distil {wildcards.explainer} from the labels of {wildcards.task}"
    shell:
        "python -P -m workflow_scripts.distill --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q}"
        " --explainer {output.explainer:q} --provenance {output.provenance:q} > {log:q} 2>&1"


use rule distill_true_labels as distill_true_labels_by_sgd with:
    wildcard_constraints:
        explainer=one_of(STUDY.explainers_with("true", trains_network=True)),
    cache: True
    resources:
        **growing(mem_mb=6000, runtime=240),
        gpu=GPU,


rule distill_final_labels:
    """An explainer fitted to the labels of f_inf."""
    input:
        **reads("distill", "data", "final_labels"),
    output:
        **makes("distill"),
    log:
        results("{experiment}/seed{seed}/logs/{explainer}.log"),
    wildcard_constraints:
        explainer=one_of(STUDY.explainers_with("final", trains_network=False)),
    cache: True
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=4500, runtime=30),
    params:
        **tracked("distill"),
    message:
        "distil {wildcards.explainer} from f_inf of {wildcards.experiment}, seed {wildcards.seed}"
    shell:
        "python -P -m workflow_scripts.distill --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q} --final-labels {input.final_labels:q}"
        " --explainer {output.explainer:q} --provenance {output.provenance:q} > {log:q} 2>&1"


use rule distill_final_labels as distill_final_labels_by_sgd with:
    wildcard_constraints:
        explainer=one_of(STUDY.explainers_with("final", trains_network=True)),
    cache: True
    resources:
        **growing(mem_mb=6000, runtime=240),
        gpu=GPU,


rule distill_t0_labels:
    """An explainer fitted to the labels of f_T0, T0 being where f first does as well as the reference."""
    input:
        **reads("distill", "data", "trajectory", "reference"),
    output:
        **makes("distill"),
    log:
        results("{experiment}/seed{seed}/logs/{explainer}.log"),
    wildcard_constraints:
        explainer=one_of(STUDY.explainers_with("t0", trains_network=False)),
    cache: True
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=4500, runtime=30),
    params:
        **tracked("distill"),
    message:
        "distil {wildcards.explainer} from f_T0 of {wildcards.experiment}, seed {wildcards.seed}"
    shell:
        "python -P -m workflow_scripts.distill --cfg {params.cfg:q} --code {params.code}"
        " --data {input.data:q} --trajectory {input.trajectory:q} --reference {input.reference:q}"
        " --explainer {output.explainer:q} --provenance {output.provenance:q} > {log:q} 2>&1"


use rule distill_t0_labels as distill_t0_labels_by_sgd with:
    wildcard_constraints:
        explainer=one_of(STUDY.explainers_with("t0", trains_network=True)),
    cache: True
    resources:
        **growing(mem_mb=6000, runtime=240),
        gpu=GPU,

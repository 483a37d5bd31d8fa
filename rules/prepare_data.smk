# In: nothing, downloaded files under data_root, or the user's pictures. Out: results/{study}/data/{dataset}.npz


rule prepare_data:
    """The arrays of one data set: loaded, drawn, downloaded or read from pictures, then split."""
    output:
        **makes("prepare_data"),
    log:
        results("data/logs/{dataset}.log"),
    conda:
        "../envs/workflow.yaml"
    threads: lambda wildcards: STUDY.datasets[wildcards.dataset].threads
    resources:
        **growing(mem_mb=1500, runtime=30),
    params:
        **tracked("prepare_data"),
    message:
        "data {wildcards.dataset}"
    shell:
        "python -P -m workflow_scripts.prepare_data --cfg {params.cfg:q} --code {params.code}"
        ' --data-root "$SGD_COMPLEXITY_DATA_ROOT"'
        " --data {output.data:q} --provenance {output.provenance:q} > {log:q} 2>&1"

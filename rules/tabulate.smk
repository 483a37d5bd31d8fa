# In: the files that the kind of table reads. Out: results/{study}/tables/{table}.csv and the same as a page.


rule tabulate:
    """One table of the paper, as CSV and as a page."""
    input:
        files=reads_all("tabulate"),
    output:
        csv=report(
            makes("tabulate")["csv"],
            caption="captions/table.rst",
            category="Tables",
            labels={"table": "{table}", "file": "numbers"},
        ),
        html=report(
            makes("tabulate")["html"],
            caption="captions/table.rst",
            category="Tables",
            labels={"table": "{table}", "file": "page"},
        ),
        provenance=makes("tabulate")["provenance"],
    log:
        results("tables/logs/{table}.log"),
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=500, runtime=10),
    params:
        **tracked("tabulate"),
    message:
        "table {wildcards.table}"
    shell:
        "python -P -m workflow_scripts.tabulate --cfg {params.cfg:q} --code {params.code}"
        " --inputs {input.files:q}"
        " --csv {output.csv:q} --html {output.html:q} --provenance {output.provenance:q} > {log:q} 2>&1"

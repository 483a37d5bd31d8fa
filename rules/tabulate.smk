# In: nulls.csv or phases.csv of the experiments shown. Out: results/tables/{table}.csv and the same as a page.

TABLE_SOURCES = {"ratios": "nulls.csv", "phases": "phases.csv"}


rule tabulate:
    """One table of the paper, as CSV and as a page."""
    input:
        tables=lambda wildcards: shown(
            STUDY.tables[wildcards.table],
            TABLE_SOURCES[STUDY.tables[wildcards.table].kind],
        ),
    output:
        csv=report(
            "results/tables/{table}.csv",
            caption="captions/table.rst",
            category="Tables",
            labels={"table": "{table}", "file": "numbers"},
        ),
        html=report(
            "results/tables/{table}.html",
            caption="captions/table.rst",
            category="Tables",
            labels={"table": "{table}", "file": "page"},
        ),
        provenance="results/tables/{table}.csv.prov.json",
    log:
        "results/tables/logs/{table}.log",
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        **tracked("tabulate"),
    message:
        "table {wildcards.table}"
    shell:
        "python -m workflow_scripts.tabulate --cfg {params.cfg:q} --code {params.code}"
        " --tables {input.tables:q}"
        " --csv {output.csv:q} --html {output.html:q} --provenance {output.provenance:q} > {log:q} 2>&1"

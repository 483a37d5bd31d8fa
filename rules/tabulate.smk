# In: nulls.csv, phases.csv, simulations or examples.csv that the table shows. Out: results/tables/{table}.csv and the same as a page.


rule tabulate:
    """One table of the paper, as CSV and as a page."""
    input:
        nulls=of_table(("ratios", "claims"), "nulls.csv"),
        phases=of_table(("phases", "claims"), "phases.csv"),
        summaries=of_table(("totals",), "summary.csv"),
        orders=of_table(("class_order",), "order.csv"),
        simulations=simulations_of_table,
        examples=of_table(("agreement",), "examples.csv"),
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
        **growing(mem_mb=500, runtime=10),
    params:
        **tracked("tabulate"),
    message:
        "table {wildcards.table}"
    shell:
        "python -m workflow_scripts.tabulate --cfg {params.cfg:q} --code {params.code}"
        " --nulls {input.nulls:q} --phases {input.phases:q} --summaries {input.summaries:q}"
        " --orders {input.orders:q} --examples {input.examples:q} --simulations {input.simulations:q}"
        " --csv {output.csv:q} --html {output.html:q} --provenance {output.provenance:q} > {log:q} 2>&1"

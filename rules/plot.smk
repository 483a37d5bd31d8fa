# In: the files that the kind of figure reads. Out: results/{study}/figures/{figure}.{pdf,png,svg} and the points as CSV.


rule plot:
    """One figure, and every point plotted in it."""
    input:
        files=reads_all("plot"),
    output:
        svg=report(
            makes("plot")["svg"],
            caption="captions/figure.rst",
            category="Figures",
            labels={"figure": "{figure}", "file": "picture"},
        ),
        pdf=makes("plot")["pdf"],
        png=makes("plot")["png"],
        points=report(
            makes("plot")["points"],
            caption="captions/points.rst",
            category="Figures",
            labels={"figure": "{figure}", "file": "plotted points"},
        ),
        provenance=makes("plot")["provenance"],
    log:
        results("figures/logs/{figure}.log"),
    conda:
        "../envs/workflow.yaml"
    threads: 1
    resources:
        **growing(mem_mb=500, runtime=10),
    params:
        **tracked("plot"),
    message:
        "figure {wildcards.figure}"
    shell:
        "python -P -m workflow_scripts.plot --cfg {params.cfg:q} --code {params.code}"
        " --inputs {input.files:q}"
        " --svg {output.svg:q} --pdf {output.pdf:q} --png {output.png:q} --points {output.points:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"

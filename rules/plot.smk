# In: the files that the kind of figure reads. Out: results/figures/{figure}.{pdf,png,svg} and the points as CSV.


rule plot:
    """One figure, and every point plotted in it."""
    input:
        files=reads_all("plot"),
    output:
        svg=report(
            "results/figures/{figure}.svg",
            caption="captions/figure.rst",
            category="Figures",
            labels={"figure": "{figure}", "file": "picture"},
        ),
        pdf="results/figures/{figure}.pdf",
        png="results/figures/{figure}.png",
        points=report(
            "results/figures/{figure}.csv",
            caption="captions/points.rst",
            category="Figures",
            labels={"figure": "{figure}", "file": "plotted points"},
        ),
        provenance="results/figures/{figure}.svg.prov.json",
    log:
        "results/figures/logs/{figure}.log",
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
        "python -m workflow_scripts.plot --cfg {params.cfg:q} --code {params.code}"
        " --inputs {input.files:q}"
        " --svg {output.svg:q} --pdf {output.pdf:q} --png {output.png:q} --points {output.points:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"

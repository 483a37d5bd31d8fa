# In: summaries, phases and classes of the experiments shown, orders of classes or examples, modes, the predictions of one
# seed in the plane, or a simulation.
# Out: results/figures/{figure}.{pdf,png,svg} and the points as CSV.


rule plot:
    """One figure, and every point plotted in it."""
    input:
        summaries=of_figure(WITH_PHASES, lambda name, _: [f"results/{name}/summary.csv"]),
        phases=of_figure(WITH_PHASES, lambda name, _: [f"results/{name}/phases.csv"]),
        classes=of_figure(("classes", "class_panels"), lambda name, _: [f"results/{name}/classes.csv"]),
        data=data_of_figure,
        trajectories=of_figure(("boundaries",), lambda name, figure: [f"{shown_seed(figure, name)}/trajectory.npz"]),
        explainers=of_figure(
            ("boundaries",),
            lambda name, figure: [
                explainer_file(name, STUDY.seed_shown(figure, name), explainer)
                for explainer in STUDY.experiments[name].explainers
            ],
        ),
        modes=of_modes("modes.csv"),
        class_modes=of_modes("class_modes.csv"),
        vectors=of_modes("modes.npz"),
        orders=orders_of_figure,
        simulations=lambda wildcards: simulated(STUDY.figures[wildcards.figure]),
        examples=of_figure(("agreement",), lambda name, _: [f"results/{name}/examples.csv"]),
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
        " --summaries {input.summaries:q} --phases {input.phases:q}"
        " --classes {input.classes:q} --orders {input.orders:q}"
        " --data {input.data:q} --trajectories {input.trajectories:q} --explainers {input.explainers:q}"
        " --modes {input.modes:q} --class-modes {input.class_modes:q} --vectors {input.vectors:q}"
        " --simulations {input.simulations:q} --examples {input.examples:q}"
        " --svg {output.svg:q} --pdf {output.pdf:q} --png {output.png:q} --points {output.points:q}"
        " --provenance {output.provenance:q} > {log:q} 2>&1"

"""The figures, a module for each kind, named as the kind.

To add a figure: write figures/NAME.py with

- its settings, a class of `config.base.Strict` whose `kind` is "NAME", and `Settings = ` that class;
- `check(settings, study, key)`: raise Wrong where the study can't have this figure; key: figures.its name;
- `inputs(settings, study)`: name -> the files that it reads, relative to the results folder, in order;
- `shown(settings, study)`: what else it reads of the study, as plain data;
- `draw(job, inputs, points)`: the matplotlib figure. job: `plot.Config`, with settings and shown as above, as JSON has
  them; inputs: name -> the paths of the files; points: `drawing.points.Points`, which keeps what is drawn;
- `CAPTION`, reStructuredText, which follows "Figure **its name**. " in the report.

Nothing else knows the kind; `make docs` renews the reference. Planning loads the module: import matplotlib, `measures`
and `data`, which take their time, inside the functions that draw. What several kinds share lies in `drawing`.
"""

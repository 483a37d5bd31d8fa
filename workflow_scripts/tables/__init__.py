"""The tables, a module for each kind, named as the kind.

To add a table: write tables/NAME.py with

- its settings, a class of `config.base.Strict` whose `kind` is "NAME", and `Settings = ` that class;
- `check(settings, study, key)`: raise Wrong where the study can't have this table; key: tables.its name;
- `inputs(settings, study)`: name -> the files that it reads, relative to the results folder, in order;
- `shown(settings, study)`: what else it reads of the study, as plain data;
- `table(job, inputs)`: a data frame, with columns experiment and title. job: `tabulate.Config`, with settings and shown
  as above, as JSON has them; inputs: name -> the paths of the files;
- `page(rows, title)`: the data frame as an HTML page to read;
- `CAPTION`, reStructuredText, which follows "Table **its name**. " in the report.

Nothing else knows the kind; `make docs` renews the reference. Planning loads the module: import `measures`, which takes
its time, inside the functions that make the table. What several kinds share lies in `drawing`.
"""

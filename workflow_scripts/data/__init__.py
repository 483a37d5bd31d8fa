"""Data sets, and tasks: data sets seen through a label map."""

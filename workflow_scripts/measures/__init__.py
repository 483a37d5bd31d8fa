"""What a network knows of the labels, and how much of it an explainer accounts for.

- of a table of joint counts: information, corrections, intervals, exact_tests, nulls;
- of one seed: predictions, comparison, per_checkpoint, per_class, phases;
- over seeds: seeds, summary, phase_changes, learning_order;
- theory beside them: singular_modes, theorem1.
"""

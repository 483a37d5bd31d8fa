"""What hooks Snakemake: the plan, the cache, its records, orphans."""

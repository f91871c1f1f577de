"""How cartridges' pipelines work: one event through its levels, what is known while a batch is planned, what is left open."""

"""What happens now: the stream, how fast it comes, how pipelines and cartridges do, and their order drawn."""

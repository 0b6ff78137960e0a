"""The inference-cost kernel: what a model costs to serve on an accelerator, from first principles."""

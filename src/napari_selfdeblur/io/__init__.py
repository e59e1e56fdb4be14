"""Images and kernels at the edge: arrays, files, pixel sizes, pictures."""

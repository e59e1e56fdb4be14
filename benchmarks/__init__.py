"""Measuring on data sets with known sharp images, and speed: ``python -m benchmarks``.

A measurement is one file: a module with ``measure(task)``, named like the kind of its tasks.
Each writes rows into a results file (JSON); `report` and `trace` read such files. Importing
these modules loads no torch: a worker process does, when it measures.
"""

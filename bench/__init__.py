"""Speed, measured: each bench runs everything it compares in one go and prints a table.

A bench is a module with one function that takes :class:`bench.report.Narrator` and whether to be quick, and returns a
:class:`bench.report.Report`; ``bench/__main__.py`` lists them.
"""

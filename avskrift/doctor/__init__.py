"""What an account needs for a deployment, and whether a deployment is well: one line a check, with what mends it.

Each module looks at one concern and yields :class:`~avskrift.doctor.check.Check` lines; the doctor only reads, and
sends nobody anything. :func:`~avskrift.doctor.examination.examine` puts them together.
"""

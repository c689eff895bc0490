"""The mutants kept aside: planted bugs on which the diagnosis was not developed, so that its rate on them is honest.

Each was written, and its cause named, before any diagnosis of it was seen. Of the first ones it was drawn which are
here, and not in `dev`; the others were written for here, on what those drawn had too few of.
"""

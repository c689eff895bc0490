"""The mutants kept aside: planted bugs on which the diagnosis was not developed, so that its rate on them is honest.

Each was written, and its cause named, before any diagnosis of it was seen; which are here, and not in `dev`, was drawn.
"""

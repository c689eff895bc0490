"""The mutants kept aside: planted bugs on which the diagnosis was not developed, so that its rate on them is honest.

Each was written, and its cause named, without knowing the diagnosis. What is learned from one of them moves it to
`dev`, together with all that were written with it, and others are written for here: else the known ones would stay.
"""

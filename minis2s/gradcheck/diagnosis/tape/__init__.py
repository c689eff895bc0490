"""A record of the forward pass, as a graph whose every edge can be spoiled.

Each edge leads from an operation back to one of its operands, and holds the rule by which gradient flows along it:

    y = a * b        a <- dy * b,   b <- dy * a

A mistake in a backward pass is a wrong rule on some edge, so the gradients that it leads to can be computed: replace
the rule, and run the graph backwards. The forward pass is any NumPy code: arrays of the class
:class:`~minis2s.gradcheck.diagnosis.tape.tracked.Tracked` answer to NumPy's own protocols (`__array_ufunc__`,
`__array_function__`), and write down what is done with them.
"""

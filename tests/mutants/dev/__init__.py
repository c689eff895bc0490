"""The mutants that the diagnosis is developed on."""

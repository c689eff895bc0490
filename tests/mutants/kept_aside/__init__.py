"""The mutants kept aside: planted bugs on which the diagnosis was not developed, so that its rate on them is honest.

Each was written, and its cause named, before any diagnosis of it was seen. What stands after `# right:` is the line as
it should be (instead of the line it follows, or, alone on its line, of the line below), after `# missing:` a line that
should be there; `test_kept_aside.py` puts them in and finds every gradient right.
"""

from mutants.kept_aside import attention, images, latent, layers, losses, modules, recurrent

__all__ = ["attention", "images", "latent", "layers", "losses", "modules", "recurrent"]

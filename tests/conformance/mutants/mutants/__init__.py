"""All mutants by name. The name of a class, in kebab-case, is the mutant's; its docstring says what is wrong with it."""

import re

from base import Worker

from . import bad_input, encoding, ending, execute, inventory, services, stream

MUTANTS = {
    re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower(): kind
    for module in (encoding, inventory, execute, stream, services, bad_input, ending)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Worker) and kind is not Worker
}

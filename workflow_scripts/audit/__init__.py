"""The audit: is a result what its provenance says, and is that still what the study asks for?"""

import sys
from importlib.util import find_spec

#: what it can't do without; other libraries may be absent, and then the results that need them are UNKNOWN
_NEEDED = ("numpy", "pandas", "pydantic", "scipy", "yaml")

if absent := [name for name in _NEEDED if find_spec(name) is None]:
    print(
        f"error: audit: {', '.join(absent)} not installed for {sys.executable}: run it with the Python of the project, "
        "such as .venv/bin/python (make sets it up)",
        file=sys.stderr,
    )
    sys.exit(4)

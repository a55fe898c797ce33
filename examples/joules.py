"""The energy of some work, in each scope that this machine can measure: `python examples/joules.py`."""

import hashlib

from edgebench_probes import measure

with measure() as measured:
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1_000_000)
print(measured)

package = measured.reading("package")
print(package.energy_j, package.uncertainty_j, package.seconds, package.scope)

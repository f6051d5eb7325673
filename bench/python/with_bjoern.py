"""bjoern runs the WSGI app at the port that it is given."""

import sys

import apps
import bjoern

bjoern.run(apps.wsgi, "127.0.0.1", int(sys.argv[1]))

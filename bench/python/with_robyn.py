"""A callback of Robyn's says hello at the port that it is given."""

import sys

from robyn import Robyn

port = int(sys.argv[1])
sys.argv[1:] = ["--log-level", "WARN"]
app = Robyn(__file__)


@app.get("/")
def hello(request):
    return "Hello, world!\n"


app.start(host="127.0.0.1", port=port)

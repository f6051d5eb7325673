"""A callback of number8's says hello at the port that it is given."""

import sys

from number8.wire import Server

server = Server("127.0.0.1", int(sys.argv[1]))


@server.get("/")
def hello(request):
    return "Hello, world!\n"


server.serve()

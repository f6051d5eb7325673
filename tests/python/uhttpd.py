"""What the tests of uhttpd's API share: servers on free ports of this process, and what clients get of them."""

import http.client
import logging
import socket
import unittest

import number8

DEADLINE = 30


class Got:
    """An answer, whole."""

    def __init__(self, answer):
        self.status, self.reason, self.headers = answer.status, answer.reason, answer.headers
        self.body = answer.read()


class Case(unittest.TestCase):
    """Serves, asks, and sees what is logged."""

    def setUp(self):
        logger = logging.getLogger("number8")
        handler = logging.Handler()
        self.logged = []
        handler.emit = self.logged.append
        logger.addHandler(handler)
        propagates, logger.propagate = logger.propagate, False
        self.addCleanup(setattr, logger, "propagate", propagates)
        self.addCleanup(logger.removeHandler, handler)

    def serve(self, *args, **kwargs):
        server = number8.Server(*args, **({} if args else {"port": 0}) | kwargs)
        self.addCleanup(server.close)
        return server

    def ask(self, server, method, target, body=None, headers=None, **kwargs):
        connection = http.client.HTTPConnection("127.0.0.1", server.port(), timeout=DEADLINE)
        try:
            connection.request(method, target, body, headers or {}, **kwargs)
            return Got(connection.getresponse())
        finally:
            connection.close()

    def raw(self, server, request):
        """All bytes that come back."""
        with socket.create_connection(("127.0.0.1", server.port()), timeout=DEADLINE) as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            received = b""
            while data := client.recv(65536):
                received += data
            return received

    def in_callback(self, function, method="GET", target="/x", verbs=None, server=None, **kwargs):
        """What `function` returns of a request in a callback, and the answer to it."""
        server = server or self.serve()
        results = []

        def callback(request):
            results.append(function(request))
            if results[-1] is not None:
                request.write("done")

        server.route("/*", verbs or number8.GET | number8.POST | number8.DELETE, callback)
        answer = self.ask(server, method, target, **kwargs)
        return (results or [None])[0], answer

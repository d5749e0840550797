"""`python serve.py PORT`: panda-server's own WSGI application on loopback, without Apache.

Run by the server's Python; its environment says where it finds its settings. The application
wants the whole path in SCRIPT_NAME, as Apache's alias has it.
"""

import sys
from socketserver import TCPServer
from wsgiref.simple_server import WSGIServer, make_server

from pandaserver.server.panda import application  # type: ignore[import-not-found]


def aliased(environ, start_response):  # type: ignore[no-untyped-def]
    environ["SCRIPT_NAME"], environ["PATH_INFO"] = environ["PATH_INFO"], ""
    environ["CONTENT_LENGTH"] = environ.get("CONTENT_LENGTH") or "0"
    return application(environ, start_response)


class Server(WSGIServer):
    def server_bind(self) -> None:
        """Bind without asking a name server for our name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()


make_server("127.0.0.1", int(sys.argv[1]), aliased, server_class=Server).serve_forever()

"""A Pyramid application: routes, a form, JSON, a cookie, a file."""

import pathlib
import wsgiref.validate

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.response import FileResponse, Response


def hello(request):
    return Response(f"Hello, {request.cookies.get('name', 'world')}.")


def login(request):
    found = HTTPFound(request.route_url("hello"))
    found.set_cookie("name", request.POST["name"])
    return found


def upload(request):
    content = request.POST["file"].file.read()
    return {"name": request.POST["file"].filename, "size": len(content)}


def stream(request):
    return Response(app_iter=(f"{number}\n".encode() for number in range(3)), content_type="text/plain")


def file(request):
    return FileResponse(pathlib.Path(__file__), request=request, content_type="text/plain")


with Configurator() as config:
    for name, view, options in [
        ("hello", hello, {}),
        ("login", login, {"request_method": "POST"}),
        ("upload", upload, {"request_method": "POST", "renderer": "json"}),
        ("stream", stream, {}),
        ("file", file, {}),
    ]:
        config.add_route(name, "/" if name == "hello" else f"/{name}")
        config.add_view(view, route_name=name, **options)
    app = config.make_wsgi_app()

validated = wsgiref.validate.validator(app)

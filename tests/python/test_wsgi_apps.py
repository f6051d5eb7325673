"""Applications of Flask, Django and Pyramid are served without a single change (row L5), each to its own kind of client."""

import hashlib
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest

import httpx
import requests

from hosting import DEADLINE, HERE, running, serving
from test_wsgi import THREADS, Answer

# Pyramid uses modules of the standard library that will go away, and `pkg_resources`, of which newer setuptools say so in their own way.
OLD = ["-W", "ignore::DeprecationWarning", "-W", "ignore:pkg_resources is deprecated:UserWarning"]

TEN_MEGABYTES = 10 * 1024 * 1024


class Flask(unittest.TestCase):
    def test_l5_w7_flask(self):
        for threads in THREADS:
            with self.subTest(threads=threads), serving("flask_app:app", threads=threads) as server:
                with requests.Session() as session:
                    self.use(session, server)

    def use(self, session, server):
        def get(path, **options):
            return session.get(server.url + path, timeout=DEADLINE, **options)

        def post(path, **options):
            return session.post(server.url + path, timeout=DEADLINE, **options)

        self.assertEqual(get("/").text, "Hello, world.")
        answer = post("/login", data={"name": "farmer"})
        self.assertEqual([earlier.status_code for earlier in answer.history], [302])
        self.assertEqual(answer.text, "Hello, farmer.")
        self.assertEqual(get("/").text, "Hello, farmer.")

        for size in [0, 1000, TEN_MEGABYTES]:
            content = os.urandom(size)
            seen = post("/upload", files={"file": ("wire.bin", content)}).json()
            expected = {"name": "wire.bin", "size": size, "digest": hashlib.sha256(content).hexdigest()}
            self.assertEqual(seen, expected)
        # A body in chunks, whose length the client does not tell.
        answer = post("/json", data=iter([b'{"wire"', b": 8}"]), headers={"Content-Type": "application/json"})
        self.assertEqual(answer.json(), {"seen": {"wire": 8}})

        answer = get("/stream", stream=True)
        self.assertEqual(answer.headers["Transfer-Encoding"], "chunked")
        self.assertEqual([*answer.iter_lines()], [b"0", b"1", b"2"])

        content = pathlib.Path(HERE, "flask_app.py").read_bytes()
        answer = get("/file")
        self.assertEqual(answer.content, content)
        self.assertEqual(get("/file", headers={"If-None-Match": answer.headers["ETag"]}).status_code, 304)
        part = get("/file", headers={"Range": "bytes=3-9"})
        self.assertEqual((part.status_code, part.content), (206, content[3:10]))
        self.assertEqual(session.head(server.url + "/file", timeout=DEADLINE).headers["Content-Length"], str(len(content)))

        seen = get("/address", headers={"X-Forwarded-For": "10.8.8.8", "X-Forwarded-Proto": "https"}).json()
        self.assertEqual(seen, {"address": "127.0.0.1", "url": f"{server.url}/address", "secure": False})
        self.assertEqual(get("/nowhere").status_code, 404)
        answer = get("/fails")
        self.assertEqual(answer.status_code, 500)
        self.assertNotIn("secret", answer.text)


class Django(unittest.TestCase):
    """A project as `django-admin startproject` makes it, with its admin."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.django("-m", "django", "startproject", "farm", ".")
        # What the tutorial adds: a view that takes an upload, and a folder of static files.
        cls.write("farm/urls.py", """
            import hashlib

            from django.contrib import admin
            from django.http import FileResponse, JsonResponse, StreamingHttpResponse
            from django.urls import path
            from django.views.decorators.csrf import csrf_exempt


            @csrf_exempt
            def upload(request):
                file = request.FILES["file"]
                digest = hashlib.sha256()
                for chunk in file.chunks():
                    digest.update(chunk)
                return JsonResponse({"size": file.size, "digest": digest.hexdigest()})


            urlpatterns = [
                path("admin/", admin.site.urls),
                path("upload/", upload),
                path("stream/", lambda request: StreamingHttpResponse(f"{number}\\n" for number in range(3))),
                path("file/", lambda request: FileResponse(open(__file__, "rb"))),
            ]
        """)
        cls.django("manage.py", "migrate", "--verbosity", "0")
        user = {"DJANGO_SUPERUSER_PASSWORD": "number 8 wire"}
        cls.django("manage.py", "createsuperuser", "--noinput", "--username", "farmer", "--email", "a@b.test", env=user)
        cls.write("validated.py", """
            import wsgiref.validate

            from farm.wsgi import application

            app = wsgiref.validate.validator(application)
        """)

    @classmethod
    def django(cls, *arguments, env=None):
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=cls.folder, env={**os.environ, **(env or {})}, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr.decode()

    @classmethod
    def write(cls, name, text):
        pathlib.Path(cls.folder, name).write_text(textwrap.dedent(text))

    def serving(self, application, threads):
        module, name = application.split(":")
        program = (
            f"import sys; sys.path.insert(0, {str(self.folder)!r})\n"
            "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'farm.settings'\n"
            f"import number8, {module}\n"
            "from django.contrib.staticfiles.handlers import StaticFilesHandler\n"
            f"app = {module}.{name}\n"
            "app = StaticFilesHandler(app) if hasattr(app, 'resolve_request') else app\n"
            f"number8.serve(app, bind='127.0.0.1:0', threads={threads})"
        )
        return running(["-c", program], cwd=self.folder)

    def test_l5_w7_django(self):
        for threads in THREADS:
            with self.subTest(threads=threads), self.serving("farm.wsgi:application", threads) as server:
                with httpx.Client(base_url=server.url, timeout=DEADLINE, follow_redirects=True) as client:
                    self.log_in(client)
                    self.move(client)
                    self.assertIn("static/admin/css/base.css", client.get("/admin/").text)
                    css = client.get("/static/admin/css/base.css")
                    self.assertEqual(css.status_code, 200)
                    self.assertEqual(int(css.headers["Content-Length"]), len(css.content))

    def log_in(self, client):
        page = client.get("/admin/")
        self.assertEqual([str(earlier.status_code) for earlier in page.history], ["302"])
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
        secrets = {"username": "farmer", "password": "number 8 wire", "next": "/admin/"}
        # Without the token nobody gets in.
        self.assertEqual(client.post("/admin/login/", data=secrets).status_code, 403)
        page = client.post("/admin/login/?next=/admin/", data={**secrets, "csrfmiddlewaretoken": token})
        self.assertEqual(page.status_code, 200)
        self.assertIn("Site administration", page.text)
        self.assertIn("farmer", client.get("/admin/auth/user/").text)

    def move(self, client):
        for size in [1000, TEN_MEGABYTES]:
            content = os.urandom(size)
            answer = client.post("/upload/", files={"file": ("wire.bin", io.BytesIO(content))})
            self.assertEqual(answer.json(), {"size": size, "digest": hashlib.sha256(content).hexdigest()})
        self.assertEqual(client.get("/stream/").text, "0\n1\n2\n")
        file = client.get("/file/")
        self.assertEqual(file.content, pathlib.Path(self.folder, "farm/urls.py").read_bytes())
        self.assertEqual(client.get("/nowhere/").status_code, 404)

    def test_l5_validator_finds_nothing_around_django(self):
        for threads in THREADS:
            with self.subTest(threads=threads), self.serving("validated:app", threads) as server:
                with httpx.Client(base_url=server.url, timeout=DEADLINE) as client:
                    self.assertEqual(client.get("/admin/login/").status_code, 200)
                    self.assertEqual(client.get("/stream/").text, "0\n1\n2\n")
                    self.assertEqual(client.get("/file/").status_code, 200)
                    self.assertEqual(client.head("/file/").status_code, 200)
                self.assertNotIn("AssertionError", server.log)


class Pyramid(unittest.TestCase):
    def test_l5_w7_pyramid(self):
        for threads in THREADS:
            with self.subTest(threads=threads), serving("pyramid_app:app", OLD, threads=threads) as server:
                with httpx.Client(base_url=server.url, timeout=DEADLINE, follow_redirects=True) as client:
                    self.assertEqual(client.get("/").text, "Hello, world.")
                    self.assertEqual(client.post("/login", data={"name": "farmer"}).text, "Hello, farmer.")
                    for size in [0, 1000, TEN_MEGABYTES]:
                        answer = client.post("/upload", files={"file": ("wire.bin", b"8" * size)})
                        self.assertEqual(answer.json(), {"name": "wire.bin", "size": size})
                    self.assertEqual(client.get("/stream").text, "0\n1\n2\n")
                    content = pathlib.Path(HERE, "pyramid_app.py").read_bytes()
                    answer = client.get("/file")
                    self.assertEqual(answer.content, content)
                    self.assertEqual(answer.headers["Content-Length"], str(len(content)))
                    self.assertEqual(client.get("/nowhere").status_code, 404)


class Documented(unittest.TestCase):
    def test_l5_the_examples_of_the_documentation_answer_what_they_say(self):
        page = HERE.parents[1] / "docs" / "python" / "wsgi.md"
        examples = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
        # The third is a server as an object: test_wsgi_server has it.
        self.assertEqual(len(examples), 3)
        anywhere = (
            "import number8\n"
            "serve = number8.serve\n"
            "number8.serve = lambda app, **given: serve(app, **{**given, 'bind': '127.0.0.1:0'})\n"
        )
        for example in examples[:2]:
            with self.subTest(example), running(["-c", anywhere + example]) as server:
                for path, text in re.findall(r"^# curl http://127.0.0.1:8080(\S+) → (.*)$", example, re.MULTILINE):
                    self.assertEqual(Answer(server, path).content.decode(), text)


class Validated(unittest.TestCase):
    """The standard library's validator stands between host and application, and finds nothing."""

    def test_l5_validator_finds_nothing(self):
        cases = {
            "flask_app": ["/", "/stream", "/file", "/address", "/nowhere"],
            "pyramid_app": ["/", "/stream", "/file", "/nowhere"],
        }
        for module, paths in cases.items():
            for threads in THREADS:
                with self.subTest(module, threads=threads), serving(f"{module}:validated", OLD, threads=threads) as server:
                    for path in paths:
                        for method in ["GET", "HEAD"]:
                            answer = Answer(server, path, method)
                            self.assertEqual(answer.status, 404 if path == "/nowhere" else 200, server.log)
                    # Read by read(n), which is what the validator asks of applications.
                    content = b'--8\r\nContent-Disposition: form-data; name="name"\r\n\r\nfarmer\r\n--8--\r\n'
                    fields = "Content-Type: multipart/form-data; boundary=8\r\n"
                    answer = Answer(server, "/login", "POST", fields, content)
                    self.assertEqual(answer.status, 302, server.log)
                    self.assertNotIn("AssertionError", server.log)


if __name__ == "__main__":
    unittest.main()

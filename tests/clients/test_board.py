"""The board without scripts, as a text browser sees it: forms, `Running...`, redirects, the field with the last program."""

import html
import os
import pathlib
import re
import tempfile
import time
import unittest

import requests

from number8 import Number8

PATIENCE_SECONDS = 30
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Board(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="number8-")
        self.addCleanup(temporary.cleanup)
        # Where the tests run as root, programs run as nobody.
        os.chmod(temporary.name, 0o755)
        self.folder = pathlib.Path(temporary.name) / "site"
        self.folder.mkdir()
        (self.folder / "hello.txt").write_text("hello\n")
        programs = str(pathlib.Path(temporary.name) / "programs")
        options = ["--board", "--auth", "admin:pw@/:all", "--programs", programs]
        self.server = self.enterContext(Number8(self.folder, *options))
        self.session = requests.Session()
        self.session.headers.update(HTML)
        self.addCleanup(self.session.close)
        form = self.get("/.number8/board")
        self.assertTrue(form.url.endswith("/.number8/login?to=/.number8/board"), form.url)
        self.page = self.submit(form, {"name": "admin", "password": "pw"})

    def get(self, path, **options):
        return self.session.get(self.server.url + path, timeout=30, **options)

    def submit(self, page, fields, action=r"[^\"]+", **options):
        """Fills in the first form of a page with such an action, and sends it as a browser does that says nothing of
        where it comes from."""
        form = re.search(rf'<form[^>]*action="({action})".*?</form>', page.text, re.S)
        self.assertIsNotNone(form, page.text)
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form[0])
        path = html.unescape(form[1])
        return self.session.post(self.server.url + path, data=dict(hidden) | fields, timeout=30, **options)

    def code(self, page):
        """What stands in the field for the program."""
        field = re.search(r'<textarea[^>]*name="code"[^>]*>\n?(.*?)</textarea>', page.text, re.S)
        self.assertIsNotNone(field, page.text)
        return html.unescape(field[1])

    def test_b14_to_b18_a_program_is_run_by_a_form(self):
        self.assertTrue(self.page.url.endswith("/.number8/board"), self.page.url)
        self.assertEqual(self.code(self.page), "")
        gate = self.folder / "gate"
        code = f"import os, time\nprint('<started>', flush=True)\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)\nprint('done')\n"
        running = self.submit(self.page, {"code": code}, r"/\.number8/run[^\"]*")
        self.assertTrue(running.url.endswith("/.number8/run"), running.url)
        self.assertIn("Running...", running.text)
        self.assertRegex(running.text, r'<meta http-equiv="refresh" content="5">')
        refused = self.submit(self.page, {"code": "print(1)"}, r"/\.number8/run[^\"]*")
        self.assertEqual(refused.status_code, 409)
        self.until(lambda: "&lt;started&gt;" in self.get("/.number8/run").text)
        gate.touch()
        # The page asks again, and when the program has ended it is led to the index.
        self.until(lambda: not self.get("/.number8/run").url.endswith("/run"))
        index = self.get("/.number8/run")
        self.assertEqual(index.url, self.server.url + "/")
        self.assertEqual(self.code(index), code)
        self.assertEqual(self.get("/.number8/run/output").text, "<started>\ndone\n")

    def test_b18_the_users_own_index_has_the_last_program(self):
        own = '<title>{{title}}</title><form method="post" action="/.number8/run"><textarea name="code">\n{{code}}</textarea></form>'
        (self.folder / "index.html").write_text(own)
        self.until(lambda: "{{title}}" in self.get("/").text)
        self.assertEqual(self.code(self.get("/")), "")
        code = "print('</textarea><script>alert(1)</script>' \"&\")\n"
        self.submit(self.page, {"code": code}, r"/\.number8/run[^\"]*")
        self.until(lambda: not self.get("/.number8/run").url.endswith("/run"))
        # However often it is asked for, and whatever the client would take.
        for _ in range(3):
            page = self.get("/")
            self.assertEqual(self.code(page), code)
            self.assertNotIn("<script>", page.text)
            self.assertIn("{{title}}", page.text)
            self.assertNotIn("ETag", page.headers)

    def test_x3_a_program_is_stopped_by_a_form(self):
        running = self.submit(self.page, {"code": "while True: pass"}, r"/\.number8/run[^\"]*")
        self.assertIn("Running...", running.text)
        self.submit(running, {}, r"/\.number8/run/stop[^\"]*")
        self.until(lambda: not self.get("/.number8/run").url.endswith("/run"))

    def test_a5_without_the_token_nothing_runs(self):
        answer = self.session.post(self.server.url + "/.number8/run", data={"code": "print(1)"}, timeout=30)
        self.assertEqual(answer.status_code, 403)
        out = self.submit(self.page, {}, r"/\.number8/logout[^\"]*")
        self.assertTrue(out.url.endswith("/.number8/login"), out.url)
        self.assertTrue(self.get("/.number8/board").url.endswith("/.number8/login?to=/.number8/board"))

    def until(self, is_so):
        end = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            self.assertLess(time.monotonic(), end, "it never was")


if __name__ == "__main__":
    unittest.main()

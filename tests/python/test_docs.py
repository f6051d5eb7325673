"""The examples of docs/python run, and their servers answer what a comment says."""

import pathlib
import re
import unittest
from unittest import mock

import number8
import number8._lifetime
from uhttpd import Case

PAGES = sorted((pathlib.Path(__file__).parents[2] / "docs" / "python").glob("*.md"))


class Examples(Case):
    def test_every_example_runs_and_its_server_answers(self):
        asked = []
        for page in PAGES:
            for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)):
                answers = re.findall(r"^# (GET) (\S+) → (.*)$", code, re.MULTILINE)
                if not answers:
                    continue
                with self.subTest(page=page.name, number=number):
                    started = []
                    start = number8.Server.__init__

                    def anywhere(server, port=0, *args, start=start, started=started, **kwargs):
                        start(server, 0, *args, **kwargs)
                        started.append(server)

                    def look(*_, started=started, answers=answers, **__):
                        for method, target, body in answers:
                            self.assertEqual(self.ask(started[0], method, target).body.decode().strip(), body)
                        asked.append(len(answers))
                        started[0].close()

                    # A script that serves until a signal is looked at meanwhile.
                    with (
                        mock.patch.object(number8.Server, "__init__", anywhere),
                        mock.patch("number8._lifetime.wait", look),
                    ):
                        exec(compile(code, page.name, "exec"), {"__name__": "example"})
                    if started[0]._is_running():
                        look()
        self.assertGreater(len(asked), 4)


if __name__ == "__main__":
    unittest.main()

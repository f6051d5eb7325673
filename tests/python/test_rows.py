"""docs/behaviours.md names a test for each row of uhttpd's documentation, and the test is there and has the row in its name."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).parents[2]

# How many rows its two tables have: what a Server does, and a Request.
LAST = {"U": 33, "R": 14}


def rows(cell):
    """The rows that the first cell of a line stands for: `U9, U15 – U17 (documents)` is U9, U15, U16, U17."""
    found = set()
    for letter, first, last in re.findall(r"\b([A-Z])(\d+)(?: – [A-Z](\d+))?", re.sub(r"\(.*?\)", "", cell)):
        found.update(f"{letter}{number}" for number in range(int(first), int(last or first) + 1))
    return found


def named(row, names):
    """Those that have the row among their words."""
    return [name for name in names if row.lower() in name.split("_")]


class Rows(unittest.TestCase):
    def setUp(self):
        self.tests = {
            path.stem: re.findall(r"def (test_\w+)", path.read_text())
            for path in (ROOT / "tests/python").glob("test_*.py")
        }
        sources = [*(ROOT / "crates").rglob("*.rs"), *(ROOT / "tests").rglob("*.py")]
        self.functions = {name for path in sources for name in re.findall(r"(?:fn|def) (\w+)", path.read_text())}
        self.listed = {}
        for line in (ROOT / "docs/behaviours.md").read_text().splitlines():
            if re.match(r"\| [A-Z]\d", line):
                cells = line.strip("| ").split(" | ")
                for row in rows(cells[0]):
                    self.listed.setdefault(row, []).append(cells[-1])

    def test_ranges_of_rows_are_read(self):
        cases = [
            ("U1", {"U1"}),
            ("U2 (lifetime), U3", {"U2", "U3"}),
            ("R1 – R3, R13", {"R1", "R2", "R3", "R13"}),
            ("U17, F7", {"U17", "F7"}),
        ]
        for cell, want in cases:
            with self.subTest(cell):
                self.assertEqual(rows(cell), want)

    def test_each_row_of_uhttpd_has_a_test_of_its_name_that_is_listed(self):
        for letter, last in LAST.items():
            for number in range(1, last + 1):
                row = f"{letter}{number}"
                with self.subTest(row):
                    listed = " ".join(self.listed.get(row, []))
                    modules = set(re.findall(r"\btest_\w+", listed)) & set(self.tests)
                    proofs = [name for module in modules for name in named(row, self.tests[module])]
                    self.assertTrue(proofs, f"{row}: no test of this name in {sorted(modules) or 'what is listed'}")

    def test_what_is_listed_is_there(self):
        for row, cells in self.listed.items():
            for test in re.findall(r"`([^`]*)`", " ".join(cells)):
                module = test.split(".")[0]
                name = re.split(r"::|\.", test)[-1]
                with self.subTest(row=row, test=test):
                    if module in self.tests and name.startswith("test_"):
                        self.assertTrue(name == module or name in self.tests[module])
                    elif "::" in test and named(row, [name]):
                        start = name.removesuffix("…")
                        self.assertTrue(any(function.startswith(start) for function in self.functions))


if __name__ == "__main__":
    unittest.main()

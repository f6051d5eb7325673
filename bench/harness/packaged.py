"""The command and the wheel as packages have them: packaging/program and packaging/wheel build them by a profile, where one can be made."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ROOT / "target/packaged/number8"


def build_command():
    """Leaves the command at COMMAND."""
    shutil.copy2(ROOT / _made("packaging/program"), COMMAND)


def build_wheel(python: Path) -> Path:
    """The wheel for this Python."""
    return ROOT / _made("packaging/wheel", "--python", python, "--out", "target/wheels/bench")


def how(lines: list[str]) -> str:
    """Whether what these lines measure was built by a profile."""
    of_python = any(name.startswith("py-") for name in lines)
    kinds = ["command"] * any(not name.startswith("py-") for name in lines) + ["wheel"] * of_python
    said = {
        kind: "by a profile" if list(ROOT.glob(f"target/profile/{kind}-*/*.profdata")) else "without a profile"
        for kind in kinds
    }
    return ", ".join(f"the {kind} {told}" for kind, told in said.items()) + " (packaging/profile)"


def _made(program: str, *arguments) -> str:
    done = subprocess.run([ROOT / program, *map(str, arguments)], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()[-1]
